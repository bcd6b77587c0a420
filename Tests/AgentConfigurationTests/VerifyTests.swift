import AgentConfiguration
import ConfigSnapshot
import ConfigTrust
import Glibc
import TestSupport
import Testing

@Suite("What is said of signatures")
struct VerifyTests {
    private let directory: TemporaryDirectory
    private let key = PrivateKey()
    private let other = PrivateKey()

    init() throws { directory = try TemporaryDirectory() }

    private var keys: String { directory.path("keys") }

    private func writeKeys() throws {
        try directory.write("keys/one.pub", key.publicKey.pem)
        try directory.write("keys/two.pub", other.publicKey.pem)
        try directory.write("keys/readme.txt", "no key")
    }

    private func verification(_ lines: String..., url: String = "https://example.com/app.json") throws
        -> SourceConfiguration.Verification?
    {
        try parse(withSource("verify: {\(lines.joined(separator: ", "))}", url: url)).sources[0].verification
    }

    /// What is wrong, without the place.
    private func complaint(_ lines: String..., url: String = "https://example.com/app.json") -> String {
        complaints(withSource("verify: {\(lines.joined(separator: ", "))}", url: url)).joined(separator: "\n")
    }

    @Test("A directory of keys, some of them revoked")
    func keyDirectory() throws {
        try writeKeys()
        try directory.write("keys/revoked", "# lost\n\(other.publicKey.id)\n")
        let found = try #require(try verification("keys: \(keys)", "audience: web", "threshold: 1"))
        #expect(found.policy.ring.trusted == [key.publicKey.id])
        #expect(found.policy.ring.revoked == [other.publicKey.id])
        #expect(found.policy.audience == ["web"])
        #expect(found.signature == .beside)
        // Where all are revoked nothing new is taken; the configuration is one all the same.
        try directory.write("keys/revoked", "\(other.publicKey.id)\n\(key.publicKey.id.text.uppercased())\n")
        #expect(try verification("keys: \(keys)")?.policy.ring.trusted == [])
        let plain = try #require(try verification("keys: \(keys)"))
        #expect(plain.policy.audience.count == 1, "the host's name")
        let configuration = try parse(withSource("verify: {keys: \(keys)}"))
        #expect(Set(configuration.secretFiles).isSuperset(of: [keys, keys + "/one.pub", keys + "/revoked"]))
    }

    @Test("A trust file, known by its first section")
    func trustFile() throws {
        var section = TrustFile.Section(
            version: 1,
            roots: [other.publicKey],
            rootThreshold: 1,
            keys: [key.publicKey],
            threshold: 1,
            revoked: []
        )
        section.signatures = [
            .init(key: other.publicKey.id, bytes: try other.sign(Array(section.text.utf8)))
        ]
        let trust = TrustFile([section])
        let path = try directory.write("trust", trust.text)
        let root = try #require(trust.root)
        let found = try #require(try verification("trust: {file: \(path), root: \"\(root)\"}"))
        #expect(found.policy.ring.trusted == [key.publicKey.id])
        #expect(found.policy.trust == TrustVersion(root: root, version: 1))
        let wrong = "sha256:" + String(repeating: "0", count: 64)
        #expect(complaint("trust: {file: \(path), root: \"\(wrong)\"}").contains("does not begin with the section"))
        #expect(complaint("trust: {file: \(path), root: x}").contains("is no digest"))
        #expect(complaint("trust: {file: \(path)}").contains("needs 'file' and 'root'"))
        #expect(complaint("trust: {file: \(path), root: \"\(root)\"}", "threshold: 2").contains("beside 'trust'"))
    }

    @Test("What cannot be meant is told, with what to do")
    func wrong() throws {
        try writeKeys()
        #expect(complaint("audience: web").contains("needs 'keys' or 'trust'"))
        #expect(complaint("keys: /none").contains("cannot be read"))
        #expect(complaint("keys: \(keys)", "threshold: 3").contains("3 keys have to sign, and \(keys) holds 2"))
        #expect(complaint("keys: \(keys)", "audience: \"a b\"").contains("cannot be signed for"))
        #expect(complaint("keys: \(keys)", "signature: above").contains("known are beside and carried"))
        #expect(complaint("keys: \(keys)", "requird: true").contains("unknown key"))
        try directory.write("keys/three.pub", key.pem)
        #expect(complaint("keys: \(keys)").contains("private key"))
        try directory.write("keys/three.pub", "garbage")
        #expect(complaint("keys: \(keys)").contains("three.pub: this is no public key"))
        try createDirectory(directory.path("empty"))
        #expect(complaint("keys: \(directory.path("empty"))").contains("there is no key in"))
    }

    @Test(
        "A tree of keys cannot be signed; one key can",
        arguments: [
            ("etcd://h:2379/app/", true), ("etcd://h:2379/app", false), ("etcd://h:2379/?key=app%2F", true),
            ("etcd://h:2379/?key=app", false), ("consul://h:8500/app/", true), ("consul://h:8500/app", false),
            ("nacos://h:8848/g/app", false),
        ]
    )
    func trees(url: String, isTree: Bool) throws {
        try writeKeys()
        let complaint = complaint("keys: \(keys)", url: url)
        #expect(complaint.contains("has no effect with a tree of keys") == isTree, "\(complaint)")
        if !isTree { #expect(try verification("keys: \(keys)", url: url)?.signature == .carried) }
        let beside = self.complaint("keys: \(keys)", "signature: beside", url: url)
        #expect(beside.contains("nothing lies beside a document"))
    }

    @Test("Readers of a group: for documents on demand only")
    func readers() throws {
        let good = try parse(withSource("load: on_demand", "readers: dbas"))
        #expect(good.sources[0].readers == "dbas")
        #expect(complaints(withSource("readers: dbas")).joined().contains("has no effect with a layer"))
        #expect(
            complaints(withSource("load: on_demand", "readers: \"../x\"")).joined().contains("is not a group's name")
        )
    }

    @Test("Keys that change are taken up; while their directory cannot be read those of before stay")
    func rereading() throws {
        try writeKeys()
        let before = try parse(withSource("verify: {keys: \(keys)}"))
        try directory.write("keys/revoked", "\(key.publicKey.id)\n")
        var (after, unreadable) = try before.rereadingSecrets()
        #expect(after.sources[0].verification?.policy.ring.trusted == [other.publicKey.id])
        #expect(after != before && unreadable.isEmpty)
        #expect(rename(keys, keys + ".away") == 0)
        (after, unreadable) = try after.rereadingSecrets()
        #expect(after.sources[0].verification?.policy.ring.trusted == [other.publicKey.id])
        #expect(!unreadable.isEmpty)
    }
}
