import ConfigSnapshot
import ConfigTrust
import Testing

@testable import ConfigVerify

struct VerifierTests {
    private func document(_ bytes: [UInt8], trace: Trace = Trace()) throws -> FetchedDocument {
        FetchedDocument(
            source: try #require(SourceName("base")),
            body: bytes,
            validators: Validators(etag: "\"v1\"", lastModified: "yesterday"),
            contentType: "application/json",
            trace: trace
        )
    }

    @Test(arguments: [
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (" ", "36a9e7f1c95b82ffb99743e0c5c4ce95d83c9a430aac59f84ef3cbfab6145068"),
    ])
    func `The digest is SHA-256 of the bytes`(text: String, digest: String) throws {
        let verified = try Verifier(maxBytes: 100).verify(try document(Array(text.utf8)), .keeping, now: { 1 }).document
        #expect(verified.digest.hex == digest)
    }

    @Test func `What was fetched is passed on, with the time of the check`() throws {
        var trace = Trace()
        trace[.requested] = 5
        trace[.received] = 6
        let fetched = try document(Array("{}".utf8), trace: trace)
        let verified = try Verifier(maxBytes: 100).verify(fetched, .keeping, now: { 7 }).document
        #expect(verified.source == fetched.source)
        #expect(verified.body == fetched.body)
        #expect(verified.validators == fetched.validators)
        #expect(verified.contentType == fetched.contentType)
        #expect(verified.trace.id == trace.id)
        #expect(verified.trace[.requested] == 5)
        #expect(verified.trace[.received] == 6)
        #expect(verified.trace[.verified] == 7)
        #expect(verified.trace[.decoded] == nil)
    }

    @Test func `An empty document is refused`() throws {
        let failure = try #require(throws: StageFailure.self) {
            try Verifier(maxBytes: 100).verify(try document([]), .keeping, now: { 1 }).document
        }
        #expect(failure.stage == .verify)
        #expect(failure.code == "empty")
        #expect(failure.hint?.contains("{}") == true)
    }

    @Test(arguments: [0, 1, 99, 100])
    func `The limit itself is allowed, one byte more is not`(limit: Int) throws {
        if limit > 0 {
            let largest = try document([UInt8](repeating: 0x20, count: limit))
            #expect(try Verifier(maxBytes: limit).verify(largest, .keeping, now: { 1 }).document.body.count == limit)
        }
        let tooLarge = try document([UInt8](repeating: 0x20, count: limit + 1))
        let failure = try #require(throws: StageFailure.self) {
            try Verifier(maxBytes: limit).verify(tooLarge, .keeping, now: { 1 }).document
        }
        #expect(failure.stage == .verify)
        #expect(failure.code == "too_large")
        #expect(failure.message.contains("\(limit + 1) bytes"))
        #expect(failure.hint?.contains("base") == true)
    }
}
