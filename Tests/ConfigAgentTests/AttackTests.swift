import AgentTestSupport
import ConfigAgent
import ConfigFetch
import ConfigPublish
import ConfigSnapshot
import ConfigTrust
import Foundation
import LockLadder
import TestSupport
import Testing

/// What somebody can try who holds the origin, the way to it, or a key; and what becomes of it: nothing is published, and it
/// is told.
@Suite("Attacks on signed documents")
struct AttackTests {
    private let directory: TemporaryDirectory
    private let key = PrivateKey()
    private let other = PrivateKey()

    init() throws { directory = try TemporaryDirectory() }

    private func policy(_ keys: PrivateKey..., threshold: Int = 1, revoked: Set<KeyID> = []) -> SignaturePolicy {
        SignaturePolicy(
            ring: KeyRing(keys: keys.map(\.publicKey), revoked: revoked),
            threshold: threshold,
            audience: ["web"]
        )
    }

    private func app(_ policy: SignaturePolicy, beside: Bool = true) -> AgentPlan.Source {
        source("app", url: "file://" + directory.path("app.json")) {
            $0.policy = policy
            $0.hasSignatureBeside = beside
        }
    }

    /// Puts both in place, as somebody does who publishes.
    private func publish(_ document: String, signature: [UInt8]?) throws {
        try directory.write("app.json", document)
        if let signature {
            try directory.write("app.json.sig", signature)
        } else {
            unlink(directory.path("app.json.sig"))
        }
    }

    private func publish(_ value: Int, _ version: UInt64, by signer: Signer) throws {
        let document = #"{"v":\#(value)}"#
        try publish(document, signature: try signer.signature(document, version))
    }

    /// An agent that has taken version 10, with the value 10.
    private func running(_ policy: SignaturePolicy? = nil) throws -> RunningAgent {
        try publish(10, 10, by: Signer(key))
        let running = try RunningAgent([app(policy ?? self.policy(key, other))], in: directory)
        try running.start()
        #expect(running.value("v") == "10")
        return running
    }

    /// What is there now is refused with `code`, what was in use stays, and all is well once something good is there.
    private func refuses(_ running: RunningAgent, _ code: String, stage: String = "verify") throws {
        let generation = running.generation
        #expect(try running.refresh("app").name == "\(stage) \(code)")
        #expect(running.value("v") == "10")
        #expect(running.generation == generation)
        #expect(running.story.last == "app failed at \(stage): \(code) (1)")
        let facts = running.agent.healthFacts(workers: [])
        let health = Health.judge(facts, now: WallClock.nowNanoseconds)
        #expect(health.level == .degraded)
        #expect(health.reasons.first?.code == "source_failing")
        try publish(11, 11, by: Signer(key))
        #expect(try running.refresh("app").name == "published")
        #expect(running.value("v") == "11")
    }

    @Test func forged() throws {
        let running = try running()
        try publish(66, 11, by: Signer(PrivateKey()))
        try refuses(running, "bad_signature")
    }

    @Test("A document that was changed under its signature")
    func changed() throws {
        let running = try running()
        try publish(#"{"v":66}"#, signature: try Signer(key).signature(#"{"v":11}"#, 11))
        try refuses(running, "signature_mismatch")
    }

    @Test func stripped() throws {
        let running = try running()
        try publish(#"{"v":66}"#, signature: nil)
        try refuses(running, "unsigned", stage: "fetch")
    }

    @Test("Stripped where the document carries its signature")
    func strippedCarried() throws {
        try directory.write("app.json", try Signer(key).carried(#"{"v":10}"#, 10))
        let running = try RunningAgent([app(policy(key), beside: false)], in: directory)
        try running.start()
        #expect(running.value("v") == "10")
        try directory.write("app.json", #"{"v":66}"#)
        #expect(try running.refresh("app").name == "verify unsigned")
        #expect(running.value("v") == "10")
        try directory.write("app.json", try Signer(key).carried(#"{"v":11}"#, 11))
        #expect(try running.refresh("app").name == "published")
    }

    @Test("Replayed: what was good once, after something newer; also after a restart, and without the stored copies")
    func replayed() throws {
        let old = try Signer(key).signature(#"{"v":9}"#, 9)
        var running = try running()
        try publish(#"{"v":9}"#, signature: old)
        #expect(try running.refresh("app").name == "verify older_version")
        try publish(10, 10, by: Signer(key))
        try running.refresh("app")
        try waitUntil("it is on disk") { running.agent.storeState.durableGeneration == 1 }
        try publish(#"{"v":9}"#, signature: old)
        running.stop()
        running = try RunningAgent([app(policy(key, other))], in: directory)
        try running.start()
        #expect(running.value("v") == "10")
        #expect(running.story.contains("app failed at verify: older_version (1)"))
        running.stop()
        // The copies are gone: nothing is served then, rather than something older.
        for name in ["documents", "history"] {
            try FileManager.default.removeItem(atPath: directory.path("state/\(name)"))
        }
        running = try RunningAgent([app(policy(key, other))], in: directory)
        try running.start()
        #expect(running.value("v") == nil)
        #expect(running.story.contains("app failed at verify: older_version (1)"))
        running.stop()
        // And where both lists are gone, the copies stand in for them.
        try publish(11, 11, by: Signer(key))
        running = try RunningAgent([app(policy(key, other))], in: directory)
        try running.start()
        try waitUntil("it is on disk") { running.agent.storeState.durableGeneration == running.generation }
        running.stop()
        for name in ["versions", "versions.copy"] { try directory.write("state/\(name)", "garbage") }
        try publish(10, 10, by: Signer(key))
        running = try RunningAgent([app(policy(key, other))], in: directory)
        try running.start()
        #expect(running.value("v") == "11")
        #expect(running.story.first == "versions unusable")
        #expect(running.story.contains("app failed at verify: older_version (1)"))
        #expect(readText(directory.path("state/versions.bad")) == "garbage")
    }

    @Test("One list of what was accepted is enough, whichever is lost, and with all copies gone", arguments: [0, 1])
    func oneList(lost: Int) throws {
        var running = try running()
        try waitUntil("it is on disk") { running.agent.storeState.durableGeneration == 1 }
        running.stop()
        for name in ["documents", "history", "generations"] {
            try FileManager.default.removeItem(atPath: directory.path("state/\(name)"))
        }
        let names = ["versions", "versions.copy"].map { directory.path("state/\($0)") }
        let list = readText(names[0])
        #expect(list == readText(names[1]))
        unlink(names[lost])
        try publish(66, 9, by: Signer(key))
        running = try RunningAgent([app(policy(key, other))], in: directory)
        try running.start()
        #expect(try running.refresh("app").name == "verify older_version")
        #expect(running.value("v") == nil)
        #expect(running.story.first == "versions unusable")
        // And it is two again.
        try waitUntil("it is written anew") { readText(names[lost]) == list }
    }

    @Test func older() throws {
        let running = try running()
        try publish(66, 9, by: Signer(key))
        try refuses(running, "older_version")
    }

    @Test("Older, and signed by another trusted key")
    func olderByAnother() throws {
        let running = try running()
        try publish(66, 9, by: Signer(other))
        try refuses(running, "older_version")
    }

    @Test("The same version, and another document")
    func equalButDifferent() throws {
        let running = try running()
        try publish(66, 10, by: Signer(key))
        try refuses(running, "same_version")
    }

    @Test func wrongAudience() throws {
        let running = try running()
        try publish(66, 11, by: Signer(key).with { $0.audience = ["db"] })
        try refuses(running, "wrong_audience")
    }

    @Test("A good document of another source")
    func wrongSource() throws {
        let running = try running()
        try publish(66, 11, by: Signer(key).with { $0.source = "other" })
        try refuses(running, "wrong_source")
    }

    @Test func expired() throws {
        let running = try running()
        try publish(66, 11, by: Signer(key).with { $0.expires = $0.issued })
        try refuses(running, "expired")
    }

    @Test("Document and signature of two versions, both good")
    func twoVersions() throws {
        let running = try running()
        try publish(#"{"v":12}"#, signature: try Signer(key).signature(#"{"v":11}"#, 11))
        try refuses(running, "signature_mismatch")
    }

    @Test("Fewer keys than have to sign, one of them twice")
    func tooFew() throws {
        try publish(10, 10, by: Signer(key, other))
        let running = try RunningAgent([app(policy(key, other, threshold: 2))], in: directory)
        try running.start()
        #expect(running.value("v") == "10")
        try publish(66, 11, by: Signer(key))
        #expect(try running.refresh("app").name == "verify bad_signature")
        try publish(66, 11, by: Signer(key, PrivateKey()))
        #expect(try running.refresh("app").name == "verify bad_signature")
        #expect(running.value("v") == "10")
        try publish(11, 11, by: Signer(key, other))
        #expect(try running.refresh("app").name == "published")
    }

    @Test("A revoked key: what it signs is refused at once, what it has signed goes on, and the source is not believed")
    func revokedKey() throws {
        let running = try running()
        adopt(running, policy(key, other, revoked: [key.publicKey.id]))
        try waitUntil("it was asked again") { running.story.last == "app failed at verify: revoked_key (1)" }
        #expect(running.value("v") == "10")
        try publish(66, 11, by: Signer(key))
        #expect(try running.refresh("app").name == "verify revoked_key")
        #expect(running.value("v") == "10")
        try publish(11, 11, by: Signer(other))
        #expect(try running.refresh("app").name == "published")
    }

    @Test("A stolen key that has run ahead binds nobody once it is revoked, and nothing goes back behind the others")
    func fastForwarded() throws {
        let running = try running()
        try publish(9, 11, by: Signer(other))
        #expect(try running.refresh("app").name == "published")
        try publish(66, .max, by: Signer(key))
        #expect(try running.refresh("app").name == "published", "it is trusted still")
        try publish(12, 12, by: Signer(other))
        #expect(try running.refresh("app").name == "verify older_version")
        adopt(running, policy(key, other, revoked: [key.publicKey.id]))
        // A poll of the new plan's may have been first.
        try running.refresh("app")
        #expect(running.value("v") == "12")
        try publish(10, 10, by: Signer(other))
        #expect(try running.refresh("app").name == "verify older_version")
        // Also after a restart.
        try waitUntil("it is on disk") { running.agent.storeState.durableGeneration == running.generation }
        running.stop()
        let again = try RunningAgent([app(policy(key, other, revoked: [key.publicKey.id]))], in: directory)
        try again.start()
        #expect(again.value("v") == "12")
        #expect(again.story.contains("app failed at verify: older_version (1)"))
    }

    @Test("A stolen key after rotation: it is not there any more, and worth nothing")
    func stolenAfterRotation() throws {
        let running = try running()
        adopt(running, policy(other))
        try publish(66, 11, by: Signer(key))
        #expect(try running.refresh("app").name == "verify bad_signature")
        #expect(running.value("v") == "10")
        try publish(12, 12, by: Signer(other))
        #expect(try running.refresh("app").name == "published")
    }

    @Test("The only key is revoked: nothing new is taken, what is in use goes on, also after a restart")
    func onlyKeyRevoked() throws {
        try publish(10, 10, by: Signer(key))
        var running = try RunningAgent([app(policy(key))], in: directory)
        try running.start()
        adopt(running, policy(key, revoked: [key.publicKey.id]))
        try publish(66, 11, by: Signer(key))
        #expect(try running.refresh("app").name == "verify revoked_key")
        #expect(running.value("v") == "10")
        try waitUntil("it is on disk") { running.agent.storeState.durableGeneration == running.generation }
        running.stop()
        running = try RunningAgent([app(policy(key, revoked: [key.publicKey.id]))], in: directory)
        try running.start()
        #expect(running.value("v") == "10")
        let reasons = Health.judge(running.agent.healthFacts(workers: []), now: WallClock.nowNanoseconds).reasons
        #expect(reasons.contains { $0.code == "source_distrusted" })
    }

    @Test("A source that says 'not modified' of what a revoked key has signed confirms nothing")
    func notModifiedAfterRevocation() throws {
        let origin = try HeldOrigin()
        let signer = Signer(key)
        let signed = String(decoding: try signer.carried(#"{"v":10}"#, 10), as: UTF8.self)
        origin.answer { .document(signed, to: $0) }
        func remote(_ policy: SignaturePolicy, idle: UInt64? = nil) -> AgentPlan.Source {
            source("app", .http, url: "http://127.0.0.1:\(origin.port)/app.json") {
                $0.policy = policy
                $0.idle = idle
            }
        }
        var running = try RunningAgent([remote(policy(key, other))], in: directory)
        try running.start()
        #expect(running.value("v") == "10")
        let revoked = policy(key, other, revoked: [key.publicKey.id])
        let plan = AgentPlan(sources: [remote(revoked)], stateDirectory: directory.path("state"))
        #expect(running.agent.adopt(plan, until: .now.advanced(byNanoseconds: 10 * second)))
        try waitUntil("it is refused") { running.story.last == "app failed at verify: revoked_key (1)" }
        try waitUntil("it is on disk") { running.agent.storeState.durableGeneration == running.generation }
        running.stop()
        running = try RunningAgent([remote(revoked)], in: directory)
        try running.start()
        try waitUntil("it is refused") { running.story.contains("app failed at verify: revoked_key (1)") }
        #expect(running.value("v") == "10")
    }

    @Test("A trust file that was in force is not gone back behind, though nothing new was signed under it")
    func olderTrustFile() throws {
        func trusting(_ version: UInt64, revoked: Set<KeyID> = []) -> SignaturePolicy {
            var policy = policy(key, other, revoked: revoked)
            policy.trust = TrustVersion(root: digest(of: []), version: version)
            return policy
        }
        var running = try running(trusting(1))
        adopt(running, trusting(2, revoked: [key.publicKey.id]))
        try waitUntil("it was asked again") { running.story.last == "app failed at verify: revoked_key (1)" }
        try waitUntil("it is on disk") { readText(directory.path("state/versions")).contains(" 2\n") }
        try publish(66, 11, by: Signer(key))
        adopt(running, trusting(1))
        #expect(try running.refresh("app").name == "verify older_trust")
        running.stop()
        running = try RunningAgent([app(trusting(1))], in: directory)
        try running.start()
        #expect(running.value("v") == "10")
        #expect(running.story.contains("app failed at verify: older_trust (1)"))
    }

    private func adopt(_ running: RunningAgent, _ policy: SignaturePolicy) {
        let plan = AgentPlan(sources: [app(policy)], stateDirectory: directory.path("state"))
        #expect(running.agent.adopt(plan, until: .now.advanced(byNanoseconds: 10 * second)))
    }

    // MARK: The store

    @Test("A stored copy that nobody has signed is not used, however whole it is")
    func plantedCopy() throws {
        // Made by an agent that requires no signature.
        try publish(#"{"v":66}"#, signature: nil)
        var running = try RunningAgent([source("app", url: "file://" + directory.path("app.json"))], in: directory)
        try running.start()
        try waitUntil("it is on disk") { running.agent.storeState.durableGeneration == 1 }
        running.stop()
        running = try RunningAgent([app(policy(key))], in: directory)
        try running.start()
        #expect(running.value("v") == nil)
        #expect(running.story.contains("app failed at verify: unsigned (1)"))
    }

    @Test("A link in place of a stored copy is not followed, and nothing behind it is changed")
    func symlinkInStore() throws {
        var running = try running()
        try waitUntil("it is on disk") { running.agent.storeState.durableGeneration == 1 }
        running.stop()
        let copy = directory.path("state/documents/app")
        let elsewhere = try directory.write("elsewhere", readText(copy))
        let names = try ["generations", "history"].flatMap { folder in
            try FileManager.default.contentsOfDirectory(atPath: directory.path("state/\(folder)")).map {
                "\(folder)/\($0)"
            }
        }
        #expect(names.count == 2)
        let others = ["versions", "versions.copy", "operator", "quarantine", "layers", "generation"]
        for name in ["documents/app", "documents/.app.tmp"] + names + others + others.map({ ".\($0).tmp" }) {
            let path = directory.path("state/\(name)")
            unlink(path)
            #expect(symlink(elsewhere, path) == 0)
        }
        let before = readText(elsewhere)
        try publish(11, 11, by: Signer(key))
        running = try RunningAgent([app(policy(key))], in: directory)
        try running.start()
        #expect(running.value("v") == "11")
        #expect(running.story.contains("stored copy of app unusable"))
        #expect(readText(elsewhere) == before)
    }

    @Test("A key that is gone: its copies are not used any more, one that is revoked keeps what it has signed")
    func copiesOfOldKeys() throws {
        var running = try running()
        try waitUntil("it is on disk") { running.agent.storeState.durableGeneration == 1 }
        running.stop()
        unlink(directory.path("app.json"))
        running = try RunningAgent([app(policy(key, other, revoked: [key.publicKey.id]))], in: directory)
        try running.start()
        #expect(running.value("v") == "10")
        running.stop()
        running = try RunningAgent([app(policy(other))], in: directory)
        try running.start()
        #expect(running.value("v") == nil)
    }

    @Test(
        "A path as the name of a source is none",
        arguments: ["../app", "a/b", "/etc/passwd", ".", "..", ".app", "app\0", "a\nb", ""]
    )
    func pathAsName(text: String) { #expect(SourceName(text) == nil) }

    // MARK: Time

    @Test("What has expired goes on serving, and health says so")
    func expiresInUse() throws {
        let now = WallClock.nowNanoseconds / 1_000_000_000
        try publish(10, 10, by: Signer(key).with { $0.expires = now + 3_600 })
        let running = try RunningAgent([app(policy(key))], in: directory)
        try running.start()
        func reasons(at seconds: Int64) -> [String] {
            Health.judge(
                running.agent.healthFacts(workers: [], now: seconds * 1_000_000_000),
                now: seconds * 1_000_000_000
            )
            .reasons.map(\.code)
        }
        #expect(reasons(at: now) == [])
        #expect(reasons(at: now + 3_600).contains("source_expired"))
        #expect(running.value("v") == "10")
    }
}
