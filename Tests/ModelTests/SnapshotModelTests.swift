import Testing
import Foundation
@Suite struct ExploreSnap {
    @Test func all() {
        let env = ProcessInfo.processInfo.environment
        let sets: [([[SnapshotModel.Act]],[Int])] = [
          ([[.read]], [1]), ([[.read,.read]], [2]), ([[.read,.park,.read]], [2]), ([[.read,.leave,.read]], [2]),
          ([[.read,.read]], [1,1]), ([[.read],[.read]], [2]), ([[.read],[.read]], [1, 1]),
          ([[.read, .read],[.read]], [2]), ([[.read, .read],[.read, .leave, .read]], [2]), ([[.read,.park,.read],[.read,.leave,.read]], [3]),
          ([[.read,.read,.read]], [2,1]),
        ]
        for (r, w) in sets {
        for b in [SnapshotModel.Barrier.reader, .publisher] {
        for flaw in SnapshotModel.Flaw.allCases {
            if let only = env["FLAW"], "\(flaw)" != only { continue }
            if flaw == .linkedLate && (r.count > 1 || r[0].contains(.leave)) { continue }
            for mm in [MemoryModel.totalStoreOrder, .partialStoreOrder] {
                    let m = SnapshotModel(readers: r, publications: w, flaw: flaw, barrier: b)
                    let t = ContinuousClock.now
                    let o = Explorer.explore(m.model, mm, limit: 30_000_000)
                    print(r, w, b, flaw, mm, o.states, o.counterexample.map { "\($0.kind) \($0.what) \($0.steps.count)" } ?? "ok", ContinuousClock.now - t)
                    if env["TRACE"] != nil, let c = o.counterexample { print(c) }
            }
        }
        }}
    }
}
