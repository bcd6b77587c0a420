import AgentTestSupport
import ConfigSnapshot
import Testing

@testable import ConfigTrust

@Suite("Never backwards")
struct VersionMarksTests {
    private let one = PrivateKey()
    private let two = PrivateKey()

    private func policy(_ keys: PrivateKey..., revoked: Set<KeyID> = []) -> SignaturePolicy {
        SignaturePolicy(ring: KeyRing(keys: keys.map(\.publicKey), revoked: revoked))
    }

    private func accepted(_ key: PrivateKey, _ version: UInt64, _ text: String = "{}") throws
        -> SignaturePolicy.Accepted
    {
        SignaturePolicy.Accepted(envelope: try Signer(key).envelope(text, version), signers: [key.publicKey.id])
    }

    private func verdict(
        _ marks: VersionMarks,
        _ accepted: SignaturePolicy.Accepted,
        _ policy: SignaturePolicy
    ) -> String? {
        do throws(StageFailure) {
            try marks.check(accepted, policy)
            return nil
        } catch {
            return error.code
        }
    }

    @Test("Older is refused, newer is taken, the same again only as the same document")
    func order() throws {
        var marks = VersionMarks()
        let both = policy(one, two)
        #expect(verdict(marks, try accepted(one, 5), both) == nil)
        #expect(marks.note(try accepted(one, 5), both))
        #expect(!marks.note(try accepted(one, 5), both))
        #expect(verdict(marks, try accepted(one, 5), both) == nil)
        #expect(verdict(marks, try accepted(one, 5, "[]"), both) == "same_version")
        #expect(verdict(marks, try accepted(one, 4), both) == "older_version")
        #expect(verdict(marks, try accepted(two, 4), both) == "older_version", "whoever signs it")
        #expect(verdict(marks, try accepted(two, 6), both) == nil)
        // Another source has a count of its own.
        var other = try accepted(one, 1)
        other.envelope.source = sourceName("other")
        #expect(verdict(marks, other, both) == nil)
    }

    @Test("What a stolen key has signed binds nobody once it is revoked, and what others have signed still does")
    func epochs() throws {
        var marks = VersionMarks()
        let both = policy(one, two)
        marks.note(try accepted(two, 10), both)
        marks.note(try accepted(one, .max), both)
        #expect(verdict(marks, try accepted(two, 11), both) == "older_version", "the thief has run ahead")
        let revoked = policy(one, two, revoked: [one.publicKey.id])
        #expect(verdict(marks, try accepted(two, 11), revoked) == nil)
        #expect(verdict(marks, try accepted(two, 9), revoked) == "older_version")
        #expect(verdict(marks, try accepted(two, 11), policy(two)) == nil)
        // Trusted again, it binds again.
        #expect(verdict(marks, try accepted(two, 11), both) == "older_version")
    }

    @Test("A list is read as it was written, and half of it is none")
    func file() throws {
        var marks = VersionMarks()
        #expect(try VersionMarks(parsing: Array(marks.text.utf8)) == marks)
        var policy = policy(one, two)
        policy.trust = TrustVersion(root: digest(of: []), version: 3)
        marks.note(try accepted(one, 5), policy)
        marks.note(try accepted(two, .max, "[]"), policy)
        let bytes = Array(marks.text.utf8)
        #expect(try VersionMarks(parsing: bytes) == marks)
        for length in 0..<bytes.count {
            #expect(throws: TrustError.self) { try VersionMarks(parsing: Array(bytes.prefix(length))) }
        }
        var both = VersionMarks()
        both.note(try accepted(one, 7), policy)
        both.merge(marks)
        #expect(both.marks[sourceName("app")]?[one.publicKey.id]?.version == 7)
        #expect(both.marks[sourceName("app")]?[two.publicKey.id]?.version == .max)
    }

    @Test("An older trust file is not believed")
    func trust() throws {
        var marks = VersionMarks()
        var policy = policy(one)
        policy.trust = TrustVersion(root: digest(of: []), version: 3)
        marks.note(try accepted(one, 1), policy)
        policy.trust?.version = 2
        #expect(verdict(marks, try accepted(one, 2), policy) == "older_trust")
        policy.trust?.version = 4
        #expect(verdict(marks, try accepted(one, 2), policy) == nil)
        // Another file has a count of its own.
        policy.trust = TrustVersion(root: digest(of: [1]), version: 1)
        #expect(verdict(marks, try accepted(one, 2), policy) == nil)
    }

    @Test("Keys that are trusted no more are kept in mind up to a number, and the highest of them longest")
    func bounded() throws {
        var marks = VersionMarks()
        for version in 1...200 { marks.note(try accepted(PrivateKey(), UInt64(version)), policy(one)) }
        marks.note(try accepted(one, 1), policy(one))
        let kept = try #require(marks.marks[sourceName("app")])
        #expect(kept.count == 64)
        #expect(kept[one.publicKey.id] != nil)
        #expect(kept.values.map(\.version).max() == 200)
    }
}
