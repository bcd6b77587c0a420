import Testing
import Foundation
@Suite struct ExploreRW {
    @Test func all() {
        let env = ProcessInfo.processInfo.environment
        let sets: [([Int],[Int])] = (env["SETS"] ?? "1/1;2/1;1,1/1;1/1,1;2/2").split(separator: ";").map {
          let p = $0.split(separator: "/").map { $0.split(separator: ",").map { Int($0)! } }
          return (p[0], p[1]) }
        for (r, w) in sets {
        for pref in [ReadWriteLockModel.Preference.writers, .readers(tries: 1), .readers(tries: 2)] {
        for flaw in ReadWriteLockModel.Flaw.allCases {
            if let only = env["FLAW"], "\(flaw)" != only { continue }
            for mm in [MemoryModel.totalStoreOrder, .partialStoreOrder] {
                for spurious in [false, true] {
                    let m = ReadWriteLockModel(readers: r, writers: w, pref, flaw: flaw)
                    let t = ContinuousClock.now
                    let o = Explorer.explore(m.model, mm, spuriousReturns: spurious, limit: 30_000_000)
                    print(r, w, pref, flaw, mm, spurious ? "spurious" : "", o.states, o.counterexample.map { "\($0.kind) \($0.steps.count)" } ?? "ok", ContinuousClock.now - t)
                    if env["TRACE"] != nil, let c = o.counterexample { print(c) }
                }
            }
        }
        for mm in [MemoryModel.totalStoreOrder, .partialStoreOrder] {
            let m = ReadWriteLockModel(readers: r, writers: w, pref, withoutMembarrier: true)
            let o = Explorer.explore(m.model, mm, spuriousReturns: true, limit: 30_000_000)
            print(r, w, pref, "withoutMembarrier", mm, o.states, o.counterexample.map { "\($0.kind) \($0.steps.count)" } ?? "ok")
        }
        }}
    }
}
