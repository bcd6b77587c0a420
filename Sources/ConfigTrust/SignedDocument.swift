/// A document and its signature as one run of bytes: so they are carried in stores of keys, handed from stage to stage, and
/// kept, and can never be mixed up with others.
public enum SignedDocument {
    private static let begin = "-----BEGIN CONFIG-AGENT SIGNATURE-----\n"
    private static let end = "-----END CONFIG-AGENT SIGNATURE-----\n"

    /// What a signature makes a document longer by, at most.
    public static let largestSignature = SignatureFile.largest + begin.utf8.count + end.utf8.count

    /// Puts `signature`, the bytes of a ``SignatureFile``, before `document`.
    public static func join(signature: [UInt8], _ document: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(begin.utf8.count + signature.count + end.utf8.count + document.count)
        bytes += begin.utf8
        bytes += signature
        bytes += end.utf8
        bytes += document
        return bytes
    }

    /// The signature before a document, and the document behind it. One that carries none is all document.
    public static func split(
        _ bytes: [UInt8]
    ) throws(TrustError) -> (signature: ArraySlice<UInt8>?, document: ArraySlice<UInt8>) {
        guard bytes.starts(with: begin.utf8) else { return (nil, bytes[...]) }
        let first = begin.utf8.count
        let head = bytes[first...].prefix(SignatureFile.largest + end.utf8.count)
        let mark = Array(end.utf8)
        // The mark is a line of its own: none of a signature's lines looks like it.
        var start = head.startIndex
        while start < head.endIndex {
            if head[start...].starts(with: mark) { return (bytes[first..<start], bytes[(start + mark.count)...]) }
            guard let newline = head[start...].firstIndex(of: UInt8(ascii: "\n")) else { break }
            start = newline + 1
        }
        throw TrustError("the signature before the document does not end")
    }
}
