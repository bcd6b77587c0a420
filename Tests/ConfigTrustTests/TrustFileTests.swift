import AgentTestSupport
import ConfigSnapshot
import ConfigTrust
import Testing

@Suite("Trust files")
struct TrustFileTests {
    private let root = PrivateKey()
    private let newRoot = PrivateKey()
    private let thief = PrivateKey()
    private let key = PrivateKey()
    private let newKey = PrivateKey()

    private func section(
        _ version: UInt64,
        roots: [PrivateKey],
        threshold: Int = 1,
        keys: [PrivateKey],
        revoked: [KeyID] = [],
        signedBy signers: [PrivateKey]
    ) throws -> TrustFile.Section {
        var section = TrustFile.Section(
            version: version,
            roots: roots.map(\.publicKey),
            rootThreshold: threshold,
            keys: keys.map(\.publicKey),
            threshold: 1,
            revoked: revoked
        )
        section.signatures = try signers.map {
            SignatureFile.Signature(key: $0.publicKey.id, bytes: try $0.sign(Array(section.text.utf8)))
        }
        return section
    }

    /// The reason for which a file is not believed; `nil` where it is.
    private func reason(_ sections: TrustFile.Section..., from root: ContentDigest? = nil) throws -> String? {
        let file = try TrustFile(parsing: Array(TrustFile(sections).text.utf8))
        #expect(file == TrustFile(sections))
        do throws(TrustError) {
            _ = try file.verified(from: root ?? TrustFile([first()]).root ?? digest(of: []))
            return nil
        } catch {
            return error.message
        }
    }

    private func first() -> TrustFile.Section {
        do { return try section(1, roots: [root], keys: [key], signedBy: [root]) } catch {
            preconditionFailure("\(error)")
        }
    }

    @Test("The last section is believed, because the one before vouches for it")
    func chain() throws {
        let second = try section(2, roots: [newRoot], keys: [key, newKey], signedBy: [root, newRoot])
        let third = try section(3, roots: [newRoot], keys: [newKey], revoked: [key.publicKey.id], signedBy: [newRoot])
        let file = TrustFile([first(), second, third])
        let pinned = try #require(file.root)
        let found = try TrustFile(parsing: Array(file.text.utf8)).verified(from: pinned)
        #expect(found.version == TrustVersion(root: pinned, version: 3))
        #expect(found.ring.trusted == [newKey.publicKey.id])
        #expect(found.ring.revoked == [key.publicKey.id])
        #expect(found.threshold == 1)
    }

    @Test("Nobody else can go on with it")
    func forged() throws {
        let byThief = try section(2, roots: [thief], keys: [thief], signedBy: [thief])
        #expect(try reason(first(), byThief)?.contains("signed by 0 of the roots of version 1") == true)
        let notByItself = try section(2, roots: [newRoot], keys: [key], signedBy: [root])
        #expect(try reason(first(), notByItself)?.contains("its own roots") == true)
        let again = try section(1, roots: [root], keys: [key, newKey], signedBy: [root])
        #expect(try reason(first(), again)?.contains("stands behind version 1") == true)
        let other = try section(1, roots: [thief], keys: [thief], signedBy: [thief])
        #expect(try reason(other, from: TrustFile([first()]).root)?.contains("does not begin") == true)
        var stolen = try section(2, roots: [root], keys: [key, newKey], signedBy: [root])
        stolen.keys = [thief.publicKey]
        #expect(try reason(first(), stolen)?.contains("signed by 0") == true)
        let two = try section(1, roots: [root, newRoot], threshold: 2, keys: [key], signedBy: [root])
        #expect(try reason(two, from: TrustFile([two]).root)?.contains("signed by 1 of its own roots, and 2") == true)
    }

    @Test("Cut off anywhere it is none, or an older one")
    func cut() throws {
        let second = try section(2, roots: [root], keys: [newKey], signedBy: [root])
        let bytes = Array(TrustFile([first(), second]).text.utf8)
        let pinned = try #require(TrustFile([first()]).root)
        for length in 0..<bytes.count {
            guard let file = try? TrustFile(parsing: Array(bytes.prefix(length))),
                let found = try? file.verified(from: pinned)
            else { continue }
            #expect(found.version.version == 1, "\(length) bytes")
        }
        #expect(throws: TrustError.self) { try TrustFile(parsing: bytes + Array("\n".utf8)) }
        #expect(throws: TrustError.self) { try TrustFile(parsing: []) }
    }

    @Test("Thresholds that nobody could reach are refused")
    func thresholds() throws {
        let tooMany = try section(1, roots: [root], threshold: 2, keys: [key], signedBy: [root])
        #expect(throws: TrustError.self) { try TrustFile(parsing: Array(TrustFile([tooMany]).text.utf8)) }
        let noKey = try section(1, roots: [root], keys: [], signedBy: [root])
        #expect(throws: TrustError.self) { try TrustFile(parsing: Array(TrustFile([noKey]).text.utf8)) }
    }
}
