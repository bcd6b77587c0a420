import ConfigSnapshot
import ConfigTrust
import ConfigVerify
import Testing

@testable import ConfigPublish

@Suite("The file form of a stored document")
struct StoredFormTests {
    private func document(
        _ body: String = "{\"a\":1}",
        validators: Validators = Validators(etag: "W/\"x: y\"", lastModified: "Sun, 22 Nov 2026 00:00:00 GMT"),
        format: DocumentFormat = .json
    ) throws -> StoredDocument {
        let bytes = Array(body.utf8)
        let fetched = FetchedDocument(
            source: sourceName("base"),
            body: bytes,
            validators: validators,
            contentType: nil,
            trace: Trace()
        )
        let verified = try Verifier(maxBytes: .max).verify(fetched, .keeping, now: { 0 }).document
        return StoredDocument(
            source: sourceName("base"),
            location: StoredDocument.location(url: "http://a.example/x", unixSocket: nil),
            body: bytes,
            format: format,
            validators: validators,
            digest: verified.digest,
            fetchedAt: 1_700_000_000_123_456_789,
            generation: 42
        )
    }

    private func bytes(_ document: StoredDocument) -> [UInt8] { StoredForm.encode(document).flatMap { $0 } }

    private func expectSame(_ left: StoredDocument, _ right: StoredDocument) {
        #expect(left.source == right.source)
        #expect(left.location == right.location)
        #expect(left.body == right.body)
        #expect(left.format == right.format)
        #expect(left.validators == right.validators)
        #expect(left.digest == right.digest)
        #expect(left.fetchedAt == right.fetchedAt)
        #expect(left.generation == right.generation)
    }

    @Test(arguments: ["{}", "{\"a\":\"é\\n\"}", "\n\n\n", "a: b\nc: d\n\n", "etag: fake\n\nx", "\u{FEFF}{}"])
    func roundTrip(body: String) throws {
        for format in [DocumentFormat.json, .yaml] {
            for validators in [
                Validators.none, Validators(etag: "\"1\""), Validators(lastModified: "then"), Validators(etag: ""),
                Validators(etag: "a:b: c", lastModified: "x"), Validators(etag: "\"é\""),
                Validators(lastModified: "then", areYoung: true, order: .init(series: .max, number: -1)),
                Validators(order: .init(series: 0, number: .max), mirror: "0123"),
            ] {
                let original = try document(body, validators: validators, format: format)
                expectSame(try StoredForm.decode(bytes(original), of: sourceName("base")), original)
            }
        }
    }

    @Test func everyFlippedBitIsSeen() throws {
        let whole = bytes(try document())
        for position in whole.indices {
            for bit in 0..<8 {
                var damaged = whole
                damaged[position] ^= 1 << UInt8(bit)
                #expect(throws: StoredDocumentFault.self, "bit \(bit) of byte \(position)") {
                    try StoredForm.decode(damaged, of: sourceName("base"))
                }
            }
        }
    }

    @Test func everyTruncationIsSeen() throws {
        let whole = bytes(try document())
        for length in 0..<whole.count {
            #expect(throws: StoredDocumentFault.self, "\(length) bytes") {
                try StoredForm.decode(Array(whole.prefix(length)), of: sourceName("base"))
            }
        }
        #expect(throws: StoredDocumentFault.damaged) {
            try StoredForm.decode(whole + [0], of: sourceName("base"))
        }
    }

    @Test("A place is told from every other one, and not by its name")
    func locations() {
        let places = [
            StoredDocument.location(url: "http://a.example/x", unixSocket: nil),
            StoredDocument.location(url: "http://a.example/y", unixSocket: nil),
            StoredDocument.location(url: "http://a.example/x", unixSocket: "/run/a.sock"),
            StoredDocument.location(url: "http://a.example/x", unixSocket: "/run/b.sock"),
        ]
        #expect(Set(places).count == places.count)
        #expect(places.allSatisfy { !$0.contains("example") && $0.count == 64 })
        #expect(StoredDocument.location(url: "http://a.example/x", unixSocket: nil) == places[0])
    }

    @Test func otherSource() throws {
        #expect(throws: StoredDocumentFault.incomplete("source")) {
            try StoredForm.decode(bytes(try document()), of: sourceName("other"))
        }
    }

    @Test func newerFormat() {
        let text = "config-agent document 3\nwhatever comes then"
        #expect(throws: StoredDocumentFault.newerFormat("3")) {
            try StoredForm.decode(Array(text.utf8), of: sourceName("base"))
        }
    }

    @Test(arguments: ["", "\n", "garbage", "{\"a\":1}\n", "config-agent document 1", "config-agent document 1\n"])
    func garbage(text: String) {
        #expect(throws: StoredDocumentFault.notOurs) {
            try StoredForm.decode(Array(text.utf8), of: sourceName("base"))
        }
    }

    @Test func bytesThatAreNoText() {
        #expect(throws: StoredDocumentFault.notOurs) {
            try StoredForm.decode([UInt8](repeating: 0xFF, count: 500) + [0x0A], of: sourceName("base"))
        }
    }

    @Test(
        "A right checksum over a lacking header is still no stored document",
        arguments: [
            "source", "location", "format", "digest", "fetched-at", "generation", "length",
        ]
    )
    func incomplete(field: String) throws {
        let original = try document()
        let header = try #require(String(validating: StoredForm.encode(original)[0], as: UTF8.self))
        let lines = header.split(separator: "\n", omittingEmptySubsequences: false).dropFirst(2)
        let lacking = lines.filter { !$0.hasPrefix("\(field):") }.joined(separator: "\n")
        let content = Array(lacking.utf8) + original.body
        let checked = try Verifier(maxBytes: .max).verify(
            FetchedDocument(
                source: sourceName("x"),
                body: content,
                validators: .none,
                contentType: nil,
                trace: Trace()
            ),
            .keeping,
            now: { 0 }
        ).document
        let file = Array("\(StoredForm.title)\n\(checked.digest.hex)\n".utf8) + content
        #expect(throws: StoredDocumentFault.incomplete(field)) {
            try StoredForm.decode(file, of: sourceName("base"))
        }
    }
}
