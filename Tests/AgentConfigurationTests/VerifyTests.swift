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
        #expect(complaint("keys: /none").contains("cannot be read: No such file or directory; put it there"))
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
        var (after, refused) = try before.rereadingSecrets()
        #expect(after.sources[0].verification?.policy.ring.trusted == [other.publicKey.id])
        #expect(after != before && refused.isEmpty)
        #expect(rename(keys, keys + ".away") == 0)
        (after, refused) = try after.rereadingSecrets()
        #expect(after.sources[0].verification?.policy.ring.trusted == [other.publicKey.id])
        #expect(!refused.isEmpty)
    }

    @Test("A key is revoked whatever else is wrong on disk: in another source, another section, the same directory")
    func revokedAmongFaults() throws {
        try writeKeys()
        let schema = try directory.write("schema.json", "{}")
        let before = try parse(
            """
            sources:
              a: {url: "https://h/a.json", verify: {keys: \(keys)}, guard: {schema: \(schema)}, headers: {X-A: {file: \(schema)}}}
              b: {url: "https://h/b.json", guard: {schema: \(schema), max_keys: 7}}
            """
        )
        try directory.write("schema.json", "{\"type\": \"\u{e4}\",\n")
        try directory.write("keys/two.pub", "garbage")
        try directory.write("keys/three.pub", "garbage")
        try directory.write("keys/revoked", "\(key.publicKey.id)\n")
        var (after, refused) = try before.rereadingSecrets()
        #expect(after.sources[0].verification?.policy.ring.trusted == [other.publicKey.id], "what two.pub said before")
        #expect(after.sources.map(\.rules) == before.sources.map(\.rules))
        #expect(after.sources[0].headers == before.sources[0].headers)
        let told = refused.map { setting in
            "\(setting.what.prefix { $0 != " " }) \(setting.sources.map(\.text).joined(separator: ", "))"
        }
        #expect(told == ["\(keys)/three.pub: a", "\(keys)/two.pub: a", "guard.schema: a, b", "headers.X-A: a"])
        #expect(refused.allSatisfy { "\($0)".contains("what was read before stays in force") })
        // What could not be meant is forgotten, and not what stands in for it.
        let again = try after.rereadingSecrets()
        #expect(again.0 == after && again.refused == refused)
        try writeKeys()
        try directory.write("schema.json", "{\"type\": \"object\"}")
        unlink(keys + "/three.pub")
        (after, refused) = try after.rereadingSecrets()
        #expect(refused.isEmpty && after.sources[1].rules != before.sources[1].rules)
    }

    @Test("With a mistake in the list of revoked keys it stays as it was; of keys that are gone none is believed")
    func fewerKeys() throws {
        try writeKeys()
        try directory.write("keys/revoked", "\(key.publicKey.id)\n")
        let before = try parse(withSource("verify: {keys: \(keys), threshold: 2}"))
        try directory.write("keys/revoked", "\(key.publicKey.id)\n\(other.publicKey.id)0\n")
        var (after, refused) = try before.rereadingSecrets()
        #expect(after.sources == before.sources)
        #expect(refused.map(\.what) == ["\(keys)/revoked: line 2 is not a key's id: 32 hexadecimal digits"])
        unlink(keys + "/revoked")
        unlink(keys + "/one.pub")
        (after, refused) = try after.rereadingSecrets()
        #expect(after.sources[0].verification?.policy.ring.trusted == [other.publicKey.id])
        #expect(refused.map(\.what) == ["2 keys have to sign, and \(keys) holds 1"])
        unlink(keys + "/two.pub")
        (after, refused) = try after.rereadingSecrets()
        #expect(after.sources[0].verification?.policy.ring.trusted == [])
        #expect(refused.map(\.what) == ["there is no key in \(keys)"])
        #expect(refused.allSatisfy { "\($0)".contains("nothing new is taken") })
    }

    @Test("Readers of a group that this host does not know are told of")
    func unknownReaders() throws {
        func told(_ group: String) throws -> [String] {
            try parse(withSource("load: on_demand", "readers: \(group)")).unknownReaders
        }
        #expect(try told("root") == [])
        let unknown = try told("no-such-group")
        #expect(unknown.count == 1 && unknown[0].contains("there is no group 'no-such-group'"), "\(unknown)")
    }
}
