import Testing

@testable import ConfigSnapshot

@Suite("Finding values")
struct LookupTests {
    @Test(arguments: 0..<40)
    func indexAgreesWithDictionary(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var reference: [[UInt8]: String] = [:]
        for number in 0..<Int.random(in: 0...400, using: &random) {
            let length = Int.random(in: 1...40, using: &random)
            reference[(0..<length).map { _ in UInt8.random(in: 0x61...0x63, using: &random) }] = String(number)
        }
        let leaves = table(reference.map { (key: $0.key, value: $0.value) })
        let index = KeyIndex(of: leaves)
        func find(_ key: [UInt8]) -> String? {
            key.withUnsafeBytes { index.find($0, in: leaves) }
                .map { String(decoding: leaves.value(leaves.leaves[$0]), as: UTF8.self) }
        }
        for (key, value) in reference {
            #expect(find(key) == value)
            for other in [key + [0x61], Array(key.dropLast()), [0x62] + key, key + [0]] {
                #expect(find(other) == reference[other])
            }
        }
        #expect(find([]) == nil)
    }

    @Test("Keys of every length, one byte apart, and such as differ in length alone")
    func lengths() {
        var keys: [[UInt8]] = []
        for length in [1, 2, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 32, 33, 100, 65_534, 65_535, 65_536, 70_000] {
            let plain = [UInt8](repeating: 0x61, count: length)
            keys.append(plain)
            for place in Set([0, length / 2, length - 1]) {
                var other = plain
                other[place] = 0x62
                keys.append(other)
            }
        }
        let leaves = table(Set(keys).map { (key: $0, value: String($0.count)) })
        let index = KeyIndex(of: leaves)
        for key in keys {
            let found = key.withUnsafeBytes { index.find($0, in: leaves) }
            #expect(found.map { Array(leaves.bytes[leaves.leaves[$0].key]) } == key)
            for other in [key + [0x63], [0x63] + key.dropFirst()] {
                #expect(other.withUnsafeBytes { index.find($0, in: leaves) } == nil)
            }
        }
    }

    @Test("A remembered key finds what a string finds, whichever snapshot it meets")
    func remembered() throws {
        var random = SeededGenerator(seed: 7)
        let snapshots = try (0..<8).map { number in
            let keys = (0..<40).filter { _ in Bool.random(using: &random) }
            return try snapshot([table(keys.map { (key: Array("k\($0)".utf8), value: String(number)) })])
        }
        var keys = (0..<40).map { RememberedKey("k\($0)") }
        for _ in 0..<2_000 {
            let snapshot = snapshots[Int.random(in: 0..<8, using: &random)]
            let place = Int.random(in: 0..<40, using: &random)
            let found = snapshot.leafIndex(of: &keys[place])
            #expect(found == snapshot.leafIndex(of: "k\(place)"))
        }
        #expect(snapshots[0].leafIndex(of: "k1" as StaticString) == snapshots[0].leafIndex(of: "k1" as String))
    }

    @Test func hash() {
        func hash(_ text: String, _ seed: UInt64) -> UInt64 {
            Array(text.utf8).withUnsafeBytes { KeyIndex.hash($0, seed: seed) }
        }
        #expect(hash("a.b", 1) == hash("a.b", 1))
        #expect(hash("a.b", 1) != hash("a.b", 2))
        let keys = (0..<10_000).map { "service.\($0).name" }
        #expect(Set(keys.map { hash($0, 42) }).count == keys.count)
        #expect(keys.allSatisfy { hash($0, 42) >> 32 != 0 })
        #expect(hash("\0", 7) != hash("\0\0", 7))
        #expect(hash("", 0) >> 32 != 0)
    }

    @Test(arguments: 0..<100)
    func objectsAreWrittenBack(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let tree = Tree.randomObject(depth: 5, layer: 0, using: &random)
        let leaves = tree.table
        let whole = ObjectWriter.json(of: leaves, range: 0..<leaves.count, below: 0)
        #expect(String(decoding: whole, as: UTF8.self) == tree.json)
        let snapshot = try snapshot([leaves])
        for (key, subtree) in tree.objects() {
            let value = snapshot.value(at: String(decoding: key, as: UTF8.self))
            #expect(value.map { String(decoding: $0.json, as: UTF8.self) } == subtree.json)
        }
        for (key, value, _) in tree.flattened() {
            let found = snapshot.value(at: String(decoding: key, as: UTF8.self))
            #expect(found.map { String(decoding: $0.json, as: UTF8.self) } == value)
        }
    }

    @Test func whoGaveAValue() throws {
        let snapshot = try snapshot([table(["a.b": "1", "c.d": "2"]), table(["a.x": "3"])])
        #expect(snapshot.value(at: "a.b")?.source?.source.text == "layer0")
        #expect(snapshot.value(at: "a.x")?.source?.source.text == "layer1")
        #expect(snapshot.value(at: "c")?.source?.source.text == "layer0")
        #expect(snapshot.value(at: "a")?.source == nil)
        #expect(
            snapshot.value(at: "").map { String(decoding: $0.json, as: UTF8.self) }
                == #"{"a":{"b":1,"x":3},"c":{"d":2}}"#
        )
        #expect(snapshot.subtree(of: "a") == 0..<2)
    }

    /// Keys come from whoever asks: none of them may be taken for the beginning of a quoted name.
    @Test(arguments: [#""a"#, #""a."#, #""a.b"#, "a.", ".", "..", #"""#, #"x."a"#, "b\\", #""a.b".c"#, "A", "x.b"])
    func notFound(_ key: String) throws {
        let snapshot = try snapshot([table([#""a.b""#: "1", #"x."a.b".y"#: "2", #""b\\.c""#: "3"])])
        #expect(snapshot.value(at: key) == nil)
        #expect(snapshot.subtree(of: key).isEmpty)
    }

    @Test func emptySnapshot() throws {
        let snapshot = try snapshot([.empty])
        #expect(snapshot.value(at: "").map { String(decoding: $0.json, as: UTF8.self) } == "{}")
        #expect(snapshot.value(at: "a") == nil)
        #expect(snapshot.keys(near: "a").isEmpty)
    }
}
