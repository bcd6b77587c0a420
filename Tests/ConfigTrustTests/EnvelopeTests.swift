import AgentTestSupport
import ConfigSnapshot
import ConfigTrust
import Testing

@Suite("Envelopes, and the signatures under them")
struct EnvelopeTests {
    private let key = PrivateKey()

    private func envelope() throws -> Envelope {
        try Signer(key, PrivateKey()).with { $0.audience = ["web", "host-7.example"] }.envelope("{}", .max)
    }

    @Test("What is written is read again, and says the same")
    func bothWays() throws {
        var envelope = try envelope()
        #expect(try Envelope(parsing: Array(envelope.text.utf8)) == envelope)
        envelope.audience = []
        #expect(try Envelope(parsing: Array(envelope.text.utf8)) == envelope)
    }

    @Test("There is one way to write each: without a line, with one more, with lines in another order, it is none")
    func strict() throws {
        let text = try envelope().text
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
        func refuses(_ changed: [String], _ why: String) {
            let bytes = Array((changed.joined(separator: "\n") + "\n").utf8)
            #expect(throws: TrustError.self, "\(why)") { try Envelope(parsing: bytes) }
        }
        for index in lines.indices {
            var changed = lines
            changed.remove(at: index)
            refuses(changed, "without line \(index)")
            changed = lines
            changed.insert("more: x", at: index)
            refuses(changed, "a line before line \(index)")
            changed = lines
            changed[index] += " "
            refuses(changed, "a space behind line \(index)")
            changed = lines
            changed[index] += "\r"
            refuses(changed, "a carriage return behind line \(index)")
            if index > 0 {
                changed = lines
                changed.swapAt(index, index - 1)
                refuses(changed, "lines \(index) and \(index - 1) swapped")
            }
        }
        refuses(lines + ["x"], "something behind the end")
        #expect(throws: TrustError.self) { try Envelope(parsing: Array(text.utf8.dropLast())) }
        #expect(throws: TrustError.self) { try Envelope(parsing: Array(text.utf8) + Array("\n".utf8)) }
        #expect(throws: TrustError.self) { try Envelope(parsing: []) }
        #expect(throws: TrustError.self) { try Envelope(parsing: [0xFF]) }
    }

    @Test(
        "Numbers, names and digests too",
        arguments: [
            ("version: 18446744073709551615", "version: 18446744073709551616"), ("version: ", "version: +"),
            ("version: ", "version: 0"), ("issued: ", "issued: 0x"), ("issued: ", "issued: -"),
            ("expires: ", "expires: 99999"), ("source: app", "source: ../app"),
            ("source: app", "source: "), ("audience: web ", "audience: * "), ("audience: web ", "audience: web  "),
            ("digest: sha256:", "digest: sha512:"), ("digest: sha256:", "digest: sha256:0"), ("keys: ", "keys: x "),
        ]
    )
    func values(right: String, wrong: String) throws {
        let text = try envelope().text
        let changed = text.replacing(right, with: wrong)
        #expect(changed != text)
        #expect(throws: TrustError.self) { try Envelope(parsing: Array(changed.utf8)) }
    }

    @Test("No key twice, not too many keys or names")
    func bounds() throws {
        var envelope = try envelope()
        envelope.keys = [key.publicKey.id, key.publicKey.id]
        #expect(throws: TrustError.self) { try Envelope(parsing: Array(envelope.text.utf8)) }
        envelope.keys = (0...Envelope.mostKeys).map { _ in PrivateKey().publicKey.id }
        #expect(throws: TrustError.self) { try Envelope(parsing: Array(envelope.text.utf8)) }
        envelope.keys.removeLast()
        #expect(try Envelope(parsing: Array(envelope.text.utf8)) == envelope)
        envelope.audience = (0..<65).map { "host\($0)" }
        #expect(throws: TrustError.self) { try Envelope(parsing: Array(envelope.text.utf8)) }
    }

    @Test("A file of signatures is read as it is written, and not otherwise")
    func signatureFile() throws {
        let bytes = try Signer(key, PrivateKey()).signature("{}", 1)
        let file = try SignatureFile(parsing: bytes)
        #expect(Array(file.text.utf8) == bytes)
        #expect(file.signatures.count == 2)
        for length in 0..<bytes.count where (try? SignatureFile(parsing: bytes.prefix(length))) != nil {
            // Cut off behind the first signature it is whole, with less in it.
            #expect(bytes[length - 1] == UInt8(ascii: "\n"))
        }
        var twice = file
        twice.signatures.append(file.signatures[0])
        #expect(throws: TrustError.self) { try SignatureFile(parsing: Array(twice.text.utf8)) }
        #expect(throws: TrustError.self) { try SignatureFile(parsing: bytes + [UInt8](repeating: 10, count: 70_000)) }
    }

    @Test("A document that carries its signature is taken apart again, whatever it holds")
    func carried() throws {
        for document in [
            "{}", "", "-----END CONFIG-AGENT SIGNATURE-----\n", "-----BEGIN CONFIG-AGENT SIGNATURE-----\nx",
        ] {
            let signature = try Signer(key).signature(document, 1)
            let parts = try SignedDocument.split(SignedDocument.join(signature: signature, Array(document.utf8)))
            #expect(parts.signature.map { Array($0) } == signature)
            #expect(Array(parts.document) == Array(document.utf8))
        }
        let plain = try SignedDocument.split(Array("{}".utf8))
        #expect(plain.signature == nil && Array(plain.document) == Array("{}".utf8))
        let cut = try Signer(key).carried("{}", 1).prefix(200)
        #expect(throws: TrustError.self) { try SignedDocument.split(Array(cut)) }
        let endless = Array("-----BEGIN CONFIG-AGENT SIGNATURE-----\n".utf8) + [UInt8](repeating: 10, count: 1 << 20)
        #expect(throws: TrustError.self) { try SignedDocument.split(endless) }
    }
}
