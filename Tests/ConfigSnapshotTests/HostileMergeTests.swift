import Foundation
import Testing

@testable import ConfigSnapshot

/// Layers that are as unkind as their size allows: what they cost is held against that of kind ones of the same size.
@Suite("Hostile layers")
struct HostileMergeTests {
    private static let count = 100_000

    /// The processor time that `work` takes: other tests run at the same time.
    private func cost(_ work: () -> Void) -> Double {
        func now() -> Double {
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        }
        let start = now()
        work()
        return now() - start
    }

    private func number(_ value: Int) -> String { String(String(1_000_000 + value).dropFirst()) }

    private func layer(_ keys: [String]) -> LeafTable { table(keys.map { (key: Array($0.utf8), value: "1") }) }

    @Test("Sorted either way, all below what another layer says, each hidden by one name more: no worse than the size")
    func merging() {
        let all = 0..<Self.count
        var random = SeededGenerator(seed: 2)
        let usual = [
            layer(all.map { "a.\(number($0)).b" }.shuffled(using: &random)),
            layer(all.map { "b.\(number($0)).a" }.shuffled(using: &random)),
        ]
        var merged: LayerMerge?
        let usualCost = cost { merged = LayerMerge(usual) }
        #expect(merged?.table.count == 2 * Self.count)
        // Each level is in a layer of its own and hides all those before it.
        let depth = 8
        let stairs = (0..<depth).map { level in
            layer((0..<(2 * Self.count / depth)).map { number($0) + String(repeating: ".x", count: level) })
        }
        let families: [(name: String, layers: [LeafTable], left: Int)] = [
            ("the same keys", [usual[0], usual[0]], Self.count),
            ("one key hides all", [usual[0], layer(["a"])], 1),
            ("all hide one key", [layer(["a"]), usual[0]], Self.count),
            (
                "each hides another",
                [layer(all.map { "a.\(number($0))" }), layer(all.map { "a.\(number($0)).b" })], Self.count
            ),
            (
                "a long beginning", [layer(all.map { "\(String(repeating: "p", count: 60)).\(number($0))" }), .empty],
                Self.count
            ),
            ("stairs", stairs, 2 * Self.count / depth),
            ("stairs, from below", stairs.reversed(), 2 * Self.count / depth),
        ]
        for (name, layers, left) in families {
            let hostile = cost { merged = LayerMerge(layers) }
            #expect(merged?.table.count == left, "\(name)")
            // Were anything quadratic in the keys, it would be ten thousand times as much.
            #expect(hostile < 20 * usualCost, "\(name): \(hostile / usualCost) times as much")
        }
    }
}
