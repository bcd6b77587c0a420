@testable import ConfigSnapshot

/// A document as a tree: the plain, slow way of doing what the flat tables do.
indirect enum Tree: Equatable {
    /// Anything that is no object, as JSON, with the layer that gave it.
    case leaf(String, layer: Int)
    /// Names by their bytes: Swift's own strings would take two forms of one letter for one name.
    case object([[UInt8]: Tree], layer: Int)

    static func random(depth: Int, layer: Int, using random: inout SeededGenerator) -> Tree {
        if depth == 0 || Int.random(in: 0..<4, using: &random) == 0 {
            return .leaf(String(Int.random(in: 0..<1000, using: &random)), layer: layer)
        }
        return randomObject(depth: depth, layer: layer, using: &random)
    }

    static func randomObject(depth: Int, layer: Int, using random: inout SeededGenerator) -> Tree {
        var members: [[UInt8]: Tree] = [:]
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            let isPlain = Int.random(in: 0..<3, using: &random) > 0
            let names = ["a", "b", "c", "a-", "a.b"]
            let name = isPlain ? names[Int.random(in: 0..<5, using: &random)] : randomName(using: &random)
            members[Array(name.utf8)] = .random(depth: depth - 1, layer: layer, using: &random)
        }
        return .object(members, layer: layer)
    }

    /// `later` laid over this tree.
    func merged(with later: Tree) -> Tree {
        guard case .object(let old, _) = self, case .object(let new, let layer) = later else { return later }
        return .object(old.merging(new) { $0.merged(with: $1) }, layer: layer)
    }

    /// The leaves with their dotted keys, in no order.
    func flattened(below path: [UInt8] = []) -> [(key: [UInt8], value: String, layer: Int)] {
        switch self {
        case .leaf(let value, let layer): return [(path, value, layer)]
        case .object(let members, let layer):
            if members.isEmpty { return path.isEmpty ? [] : [(path, "{}", layer)] }
            return members.flatMap { name, tree in
                var key = path
                DottedKey.append(name, to: &key)
                return tree.flattened(below: key)
            }
        }
    }

    var table: LeafTable { ConfigSnapshotTests.table(flattened().map { (key: $0.key, value: $0.value) }) }

    /// JSON with the members in the order of their keys.
    var json: String {
        switch self {
        case .leaf(let value, _): return value
        case .object(let members, _):
            let written = members.map { name, tree in
                var key: [UInt8] = []
                DottedKey.append(name, to: &key)
                var text: [UInt8] = []
                JSONText.appendString(name, to: &text)
                return (key: key, text: String(decoding: text, as: UTF8.self) + ":" + tree.json)
            }
            let sorted = written.sorted { compare($0.key, $1.key) < 0 }
            return "{" + sorted.map(\.text).joined(separator: ",") + "}"
        }
    }

    /// Every object in the tree but the root, with its dotted key.
    func objects(below path: [UInt8] = []) -> [(key: [UInt8], tree: Tree)] {
        guard case .object(let members, _) = self else { return [] }
        let own: [(key: [UInt8], tree: Tree)] = path.isEmpty ? [] : [(path, self)]
        return own
            + members.flatMap { name, tree in
                var key = path
                DottedKey.append(name, to: &key)
                return tree.objects(below: key)
            }
    }
}
