public import ConfigSnapshot
internal import Crypto

extension LeafTable {
    /// SHA-256 over all keys and values in key order, each with its length: equal content, equal digest, whatever
    /// the documents looked like.
    public var contentDigest: ContentDigest {
        var hash = SHA256()
        func add(_ range: Range<Int>, of raw: UnsafeRawBufferPointer) {
            var length = UInt32(range.count).littleEndian
            withUnsafeBytes(of: &length) { hash.update(bufferPointer: $0) }
            hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: raw[range]))
        }
        bytes.withUnsafeBytes { raw in
            for leaf in leaves {
                add(leaf.key, of: raw)
                add(leaf.value, of: raw)
            }
        }
        // SAFETY: SHA-256 always yields 32 bytes.
        return ContentDigest(bytes: hash.finalize())!
    }
}
