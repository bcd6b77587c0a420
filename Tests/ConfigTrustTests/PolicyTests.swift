import AgentTestSupport
import ConfigSnapshot
import ConfigTrust
import Testing

@Suite("What a signature has to be")
struct PolicyTests {
    private let one = PrivateKey()
    private let two = PrivateKey()
    private let stranger = PrivateKey()
    private let document = #"{"a":1}"#

    private func policy(_ threshold: Int = 1, revoked: Set<KeyID> = []) -> SignaturePolicy {
        SignaturePolicy(
            ring: KeyRing(keys: [one.publicKey, two.publicKey], revoked: revoked),
            threshold: threshold,
            audience: ["web", "host-7"]
        )
    }

    private var now: Int64 { WallClock.nowNanoseconds / 1_000_000_000 }

    /// The code that a document and its signature are refused with; `nil` where they are taken.
    private func verdict(
        _ policy: SignaturePolicy,
        _ signature: [UInt8]?,
        document: String? = nil,
        source: String = "app",
        _ moment: SignaturePolicy.Moment? = nil
    ) throws -> String? {
        do throws(StageFailure) {
            _ = try policy.check(
                signature,
                of: sourceName(source),
                digest: digest(of: Array((document ?? self.document).utf8)),
                moment ?? .taking(at: now)
            )
            return nil
        } catch {
            #expect(error.stage == .verify)
            #expect(error.hint != nil)
            return error.code
        }
    }

    @Test("Signed by one, by the other, by both")
    func good() throws {
        for signer in [Signer(one), Signer(two), Signer(one, two)] {
            #expect(try verdict(policy(), try signer.signature(document, 1)) == nil)
        }
        let accepted = try policy(2).check(
            try Signer(one, two).signature(document, 7),
            of: sourceName("app"),
            digest: digest(of: Array(document.utf8)),
            .taking(at: now)
        )
        #expect(accepted.envelope.version == 7)
        #expect(accepted.signers == [one.publicKey.id, two.publicKey.id].sorted())
        #expect(accepted.signed.keys == accepted.signers.map(\.text))
    }

    @Test("Each thing that may be wrong has its own code")
    func refused() throws {
        let good = try Signer(one).signature(document, 1)
        #expect(try verdict(policy(), nil) == "unsigned")
        #expect(try verdict(policy(), []) == "bad_signature")
        #expect(try verdict(policy(), Array("garbage".utf8)) == "bad_signature")
        #expect(try verdict(policy(), try Signer(stranger).signature(document, 1)) == "bad_signature")
        #expect(try verdict(policy(), good, document: #"{"a":2}"#) == "signature_mismatch")
        #expect(try verdict(policy(), good, source: "other") == "wrong_source")
        let forOthers = try Signer(one).with { $0.audience = ["db"] }.signature(document, 1)
        #expect(try verdict(policy(), forOthers) == "wrong_audience")
        let forUs = try Signer(one).with { $0.audience = ["db", "host-7"] }.signature(document, 1)
        #expect(try verdict(policy(), forUs) == nil)
        let old = try Signer(one).with { $0.expires = now }.signature(document, 1)
        #expect(try verdict(policy(), old) == "expired")
        #expect(try verdict(policy(), old, .taking(at: now - 10)) == nil)
        #expect(try verdict(policy(revoked: [one.publicKey.id]), good) == "revoked_key")
    }

    @Test("What is kept was taken once: neither time nor revocation make it another, but it has to be the same")
    func kept() throws {
        let old = try Signer(one).with { $0.expires = now - 100 }.signature(document, 1)
        let revoked = policy(revoked: [one.publicKey.id])
        #expect(try verdict(revoked, old, .keeping) == nil)
        #expect(try verdict(revoked, old, document: "{}", .keeping) == "signature_mismatch")
        #expect(try verdict(revoked, nil, .keeping) == "unsigned")
        #expect(try verdict(revoked, try Signer(stranger).signature(document, 1), .keeping) == "bad_signature")
    }

    @Test("k of n: different keys that the envelope names, each once, none revoked")
    func threshold() throws {
        #expect(try verdict(policy(2), try Signer(one).signature(document, 1)) == "bad_signature")
        #expect(try verdict(policy(2), try Signer(one, stranger).signature(document, 1)) == "bad_signature")
        #expect(try verdict(policy(2), try Signer(one, two).signature(document, 1)) == nil)
        #expect(
            try verdict(policy(2, revoked: [two.publicKey.id]), try Signer(one, two).signature(document, 1))
                == "revoked_key"
        )
        // One is enough though the other is revoked.
        #expect(
            try verdict(policy(1, revoked: [two.publicKey.id]), try Signer(one, two).signature(document, 1)) == nil
        )
        // A signature by a key that the envelope does not name does not count: it may have been made for something else.
        let envelope = Array(try Signer(one).envelope(document, 1).text.utf8)
        let file = SignatureFile(
            envelope: envelope,
            signatures: [
                .init(key: one.publicKey.id, bytes: try one.sign(envelope)),
                .init(key: two.publicKey.id, bytes: try two.sign(envelope)),
            ]
        )
        #expect(try verdict(policy(2), Array(file.text.utf8)) == "bad_signature")
        #expect(try verdict(policy(1), Array(file.text.utf8)) == nil)
    }

    @Test("A change of any byte of the file is seen")
    func everyByte() throws {
        let good = try Signer(one).signature(document, 1)
        for index in good.indices {
            var forged = good
            forged[index] ^= 1
            #expect(try verdict(policy(), forged) == "bad_signature", "byte \(index)")
        }
    }
}
