/// The values of one document, flat: every leaf under its dotted key, in key order, in one block of memory.
///
/// A leaf is whatever is not a non-empty object: a scalar, an array, or `{}`. Its value is kept as the bytes of its
/// compact JSON. There is no tree beside it: a document costs about its own size plus 16 bytes a leaf.
///
/// The value type is immutable once built and may be shared between threads.
public struct LeafTable: Sendable {
    /// One leaf: where its key and its value lie in `bytes`.
    public struct Leaf: Sendable {
        public var keyStart: UInt32
        public var keyLength: UInt32
        public var valueStart: UInt32
        public var valueLength: UInt32

        public init(keyStart: Int, keyLength: Int, valueStart: Int, valueLength: Int) {
            self.keyStart = UInt32(keyStart)
            self.keyLength = UInt32(keyLength)
            self.valueStart = UInt32(valueStart)
            self.valueLength = UInt32(valueLength)
        }

        public var key: Range<Int> { Int(keyStart)..<Int(keyStart) + Int(keyLength) }
        public var value: Range<Int> { Int(valueStart)..<Int(valueStart) + Int(valueLength) }
    }

    /// Keys and values, back to back. At most 4 GiB.
    public let bytes: [UInt8]
    /// In the order of ``DottedKey/compare(_:_:)``, without duplicates, no leaf below another.
    public let leaves: [Leaf]

    /// Sorts the leaves into key order.
    ///
    /// - Precondition (checked by the decoder): no two leaves share a key and none lies below another.
    public init(bytes: [UInt8], unsortedLeaves: [Leaf]) {
        self.bytes = bytes
        var sorted = unsortedLeaves
        bytes.withUnsafeBytes { raw in
            sorted.sort { left, right in
                DottedKey.compare(.init(rebasing: raw[left.key]), .init(rebasing: raw[right.key])) < 0
            }
        }
        self.leaves = sorted
    }

    /// A table without a leaf.
    public static let empty = LeafTable(bytes: [], unsortedLeaves: [])

    public var count: Int { leaves.count }

    public func key(_ leaf: Leaf) -> String { String(decoding: bytes[leaf.key], as: UTF8.self) }
    public func value(_ leaf: Leaf) -> ArraySlice<UInt8> { bytes[leaf.value] }
}
