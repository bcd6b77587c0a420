import Testing
import Foundation
@Suite struct Explore {
    @Test func all() {
        let env = ProcessInfo.processInfo.environment
        let sets: [[Int]] = (env["SETS"] ?? "1,1;2,2;2,1,1").split(separator: ";").map { $0.split(separator: ",").map { Int($0)! } }
        for rounds in sets {
        for flaw in MutexModel.Flaw.allCases {
            for mm in [MemoryModel.totalStoreOrder, .partialStoreOrder] {
                for spurious in [false, true] {
                    if let only = env["FLAW"], "\(flaw)" != only { continue }
                    let m = MutexModel(threads: rounds.count, rounds: rounds, flaw: flaw)
                    let t = ContinuousClock.now
                    let o = Explorer.explore(m.model, mm, spuriousReturns: spurious, limit: 30_000_000)
                    print(rounds, flaw, mm, spurious ? "spurious" : "", o.states, o.counterexample.map { "\($0.kind) \($0.steps.count)" } ?? "ok", ContinuousClock.now - t)
                    if env["TRACE"] != nil, let c = o.counterexample { print(c) }
                }
            }
        }
        for mm in [MemoryModel.totalStoreOrder, .partialStoreOrder] {
            let m = MutexModel(threads: rounds.count, rounds: rounds, flaw: .none, withoutMembarrier: true)
            let o = Explorer.explore(m.model, mm, spuriousReturns: true, limit: 30_000_000)
            print(rounds, "withoutMembarrier", mm, o.states, o.counterexample.map { "\($0.kind) \($0.steps.count)" } ?? "ok")
        }
        }
    }
}
