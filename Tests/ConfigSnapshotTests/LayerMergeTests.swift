import Testing

@testable import ConfigSnapshot

@Suite("Merging layers")
struct LayerMergeTests {
    @Test(arguments: 0..<300)
    func agreesWithTrees(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let trees = (0..<Int.random(in: 1...5, using: &random)).map { layer in
            Tree.randomObject(depth: Int.random(in: 1...4, using: &random), layer: layer, using: &random)
        }
        let merged = LayerMerge(trees.map(\.table))
        let expected = trees.dropFirst().reduce(trees[0]) { $0.merged(with: $1) }.flattened()
            .sorted { compare($0.key, $1.key) < 0 }
        #expect(lines(merged.table) == expected.map { "\(String(decoding: $0.key, as: UTF8.self))=\($0.value)" })
        #expect(merged.owners.map { Int($0) } == expected.map(\.layer))
    }

    @Test func scalarsAndObjectsReplaceEachOther() {
        let merged = LayerMerge([
            table(["a.b": "1", "a.c": "2", "d": "3", "e": "[1]"]),
            table(["a": "4", "d.x": "5", "e": "[]"]),
        ])
        #expect(lines(merged.table) == ["a=4", "d.x=5", "e=[]"])
        #expect(merged.owners == [1, 1, 1])
    }

    @Test func nullIsAValue() {
        #expect(lines(LayerMerge([table(["a.b": "1"]), table(["a.b": "null"])]).table) == ["a.b=null"])
    }

    @Test func emptyObjects() {
        #expect(lines(LayerMerge([table(["a.b": "1"]), table(["a": "{}"])]).table) == ["a.b=1"])
        #expect(lines(LayerMerge([table(["a": "1"]), table(["a": "{}"])]).table) == ["a={}"])
        #expect(lines(LayerMerge([table(["a": "{}"]), table(["a.b": "1"])]).table) == ["a.b=1"])
        let hidden = LayerMerge([table(["a.b": "1"]), table(["a": "2"]), table(["a": "{}"]), table(["a.c": "3"])])
        #expect(lines(hidden.table) == ["a.c=3"])
        #expect(hidden.owners == [3])
    }

    @Test func likeNamesStayApart() {
        let merged = LayerMerge([table([#""a.b""#: "1", "a-": "2", "a.c": "3"]), table(["a": "4"])])
        #expect(lines(merged.table) == [#""a.b"=1"#, "a=4", "a-=2"])
    }

    @Test func noLayers() {
        #expect(LayerMerge([]).table.count == 0)
        #expect(LayerMerge([.empty, .empty]).table.count == 0)
    }
}
