import ConfigDecode
import ConfigSnapshot
import LockLadder

@testable import ConfigPublish

func sourceName(_ text: String) -> SourceName {
    guard let name = SourceName(text) else { preconditionFailure("\(text) is no name") }
    return name
}

/// A digest whose bytes are all the same.
func digest(_ byte: UInt8) -> ContentDigest {
    guard let digest = ContentDigest(bytes: [UInt8](repeating: byte, count: 32)) else {
        preconditionFailure("32 bytes")
    }
    return digest
}

/// The content of a document, as the decode stage understands it.
func table(_ text: String, _ format: DocumentFormat = .json) throws -> LeafTable {
    let fetched = FetchedDocument(
        source: sourceName("a"),
        body: Array(text.utf8),
        validators: .none,
        contentType: nil,
        trace: Trace()
    )
    let verified = VerifiedDocument(
        verified: fetched,
        body: fetched.body,
        signature: nil,
        signed: nil,
        digest: digest(0),
        trace: fetched.trace
    )
    return try DocumentDecoder(format: format, urlPath: "").decode(verified, now: { 0 }).table
}

func snapshot(_ generation: UInt64, _ text: String = "{}") throws -> Snapshot {
    let table = try table(text)
    return Snapshot(
        generation: generation,
        merged: LayerMerge([table]),
        digest: table.contentDigest,
        publishedAt: 1,
        sources: [
            SourceRevision(
                source: sourceName("a"),
                digest: digest(0),
                validators: .none,
                fetchedAt: 1,
                traceID: "t"
            )
        ]
    )
}

func moment(inSeconds seconds: UInt64) -> MonotonicTime {
    MonotonicTime.now.advanced(byNanoseconds: seconds * 1_000_000_000)
}
