import Testing

@testable import ConfigSnapshot

/// SplitMix64: the same numbers for the same seed, so that a failure can be seen again.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// A table with these leaves, which need not be in order.
func table(_ leaves: [(key: [UInt8], value: String)]) -> LeafTable {
    var bytes: [UInt8] = []
    var places: [LeafTable.Leaf] = []
    for (key, value) in leaves {
        places.append(
            LeafTable.Leaf(
                keyStart: bytes.count,
                keyLength: key.count,
                valueStart: bytes.count + key.count,
                valueLength: value.utf8.count
            )
        )
        bytes.append(contentsOf: key)
        bytes.append(contentsOf: value.utf8)
    }
    return LeafTable(bytes: bytes, unsortedLeaves: places)
}

func table(_ leaves: KeyValuePairs<String, String>) -> LeafTable {
    table(leaves.map { (key: Array($0.key.utf8), value: $0.value) })
}

func lines(_ table: LeafTable) -> [String] {
    table.leaves.map { "\(table.key($0))=\(String(decoding: table.value($0), as: UTF8.self))" }
}

func compare(_ left: [UInt8], _ right: [UInt8]) -> Int {
    left.withUnsafeBytes { l in right.withUnsafeBytes { r in DottedKey.compare(l, r) } }
}

/// A name made of what needs quotes, what sorts around a dot, and what is plain.
func randomName(using random: inout SeededGenerator) -> String {
    let alphabet: [Unicode.Scalar] = [
        "a", "a", "b", "b", "A", ".", "\"", "\\", "-", "+", "/", " ", "\n", "\u{0}", "\u{7F}", "é", "€", "😀", "u", "0",
    ]
    var name = String.UnicodeScalarView()
    for _ in 0..<Int.random(in: 0...4, using: &random) {
        name.append(alphabet[Int.random(in: 0..<alphabet.count, using: &random)])
    }
    return String(name)
}

func snapshot(_ layers: [LeafTable]) throws -> Snapshot {
    let digest = try #require(ContentDigest(bytes: [UInt8](repeating: 1, count: 32)))
    let sources = try (0..<layers.count).map { layer in
        SourceRevision(
            source: try #require(SourceName("layer\(layer)")),
            digest: digest,
            validators: .none,
            fetchedAt: 0,
            traceID: ""
        )
    }
    return Snapshot(generation: 1, merged: LayerMerge(layers), digest: digest, publishedAt: 0, sources: sources)
}
