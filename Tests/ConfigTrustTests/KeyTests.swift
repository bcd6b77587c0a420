import ConfigTrust
import Testing

@Suite("Keys")
struct KeyTests {
    // The examples of RFC 8410.
    private static let privatePEM = """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
        -----END PRIVATE KEY-----

        """
    private static let publicPEM = """
        -----BEGIN PUBLIC KEY-----
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
        -----END PUBLIC KEY-----

        """

    @Test("The keys of RFC 8410 belong together, and are written as they were read")
    func standard() throws {
        let key = try PrivateKey(file: Self.privatePEM)
        let publicKey = try PublicKey(file: Self.publicPEM)
        #expect(key.publicKey == publicKey)
        #expect(key.pem == Self.privatePEM)
        #expect(publicKey.pem == Self.publicPEM)
        let signature = try key.sign(Array("text".utf8))
        #expect(publicKey.verifies(signature, under: Array("text".utf8)))
        #expect(!publicKey.verifies(signature, under: Array("test".utf8)))
    }

    private static func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex)
        return stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0...($0 + 1)]), radix: 16) }
    }

    @Test("The signatures of RFC 8032 verify; each single bit of them matters")
    func vectors() throws {
        let key = try #require(
            PublicKey(raw: Self.bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"))
        )
        let signature = Self.bytes(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        )
        #expect(key.verifies(signature, under: [0x72]))
        for bit in 0..<512 {
            var forged = signature
            forged[bit / 8] ^= 1 << (bit % 8)
            #expect(!key.verifies(forged, under: [0x72]), "bit \(bit)")
        }
        #expect(!key.verifies(Array(signature.dropLast()), under: [0x72]))
        #expect(!key.verifies(signature + [0], under: [0x72]))
        #expect(!key.verifies([], under: [0x72]))
    }

    @Test("A key's id is that of its bytes, however it was written")
    func ids() throws {
        let key = PrivateKey().publicKey
        #expect(try PublicKey(file: key.pem).id == key.id)
        let signify =
            "untrusted comment: signify public key\n"
            + Base64.encode(Array("Ed".utf8) + [1, 2, 3, 4, 5, 6, 7, 8] + key.raw) + "\n"
        #expect(try PublicKey(file: signify) == key)
        #expect(KeyID(key.id.text) == key.id)
        for text in ["", "abc", key.id.text.uppercased() + "A", key.id.text + "0", String(repeating: "g", count: 32)] {
            #expect(KeyID(text) == nil)
        }
    }

    @Test("What is no public key is told apart, and a private one is not let pass")
    func refused() throws {
        let ofRSA =
            "-----BEGIN PUBLIC KEY-----\n\(Base64.encode(Array(repeating: 7, count: 60)))\n-----END PUBLIC KEY-----\n"
        let reasons = [
            (Self.privatePEM, "private"), (ofRSA, "not of Ed25519"), ("", "no public key"),
            ("garbage", "no public key"),
            ("untrusted comment: x\nRWQ=\n", "no public key"),
        ]
        for (text, reason) in reasons {
            let error = try #require(throws: TrustError.self) { try PublicKey(file: text) }
            #expect(error.message.contains(reason), "\(error.message)")
        }
        #expect(throws: TrustError.self) { try PrivateKey(file: Self.publicPEM) }
        #expect(throws: TrustError.self) { try PrivateKey(file: "") }
    }

    @Test("Revoked keys are listed, with words for people")
    func revocations() throws {
        let one = PrivateKey().publicKey.id
        let two = PrivateKey().publicKey.id
        #expect(try KeyRing.revocations(in: "# lost in May\n\(one) # of Eve\n\n\(two)\n") == [one, two])
        #expect(try KeyRing.revocations(in: "") == [])
        #expect(throws: TrustError.self) { try KeyRing.revocations(in: "\(one)\nall of them\n") }
    }
}
