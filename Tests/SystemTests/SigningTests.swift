internal import Foundation
import TestSupport
import Testing

/// Documents signed by agentctl, by openssl and by signify, and an agent that takes no others.
@Suite("Signing, from outside")
struct SigningTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @discardableResult
    private func agentctl(_ arguments: String...) throws -> ProgramOutput {
        try Program.run([AgentProcess.path(of: "agentctl")] + arguments)
    }

    private func path(_ name: String) -> String { directory.path(name) }

    private func succeeds(_ output: ProgramOutput) { #expect(output.code == 0, "\(output)") }

    @Test("keygen, sign, verify; an agent takes what is signed and nothing else, and a new key without a restart")
    func wholeWay() throws {
        try createDirectory(path("keys"))
        succeeds(try agentctl("keygen", path("release")))
        #expect(try agentctl("keygen", path("release")).code == 1, "nothing is replaced")
        let mode = try FileManager.default.attributesOfItem(atPath: path("release.key"))[.posixPermissions] as? Int
        #expect(mode == 0o600)
        try directory.write("keys/release.pub", readText(path("release.pub")))
        try directory.write("app.json", #"{"v": 1}"#)
        succeeds(try agentctl("sign", path("app.json"), "--source", "app", "--key", path("release.key")))
        let good = try agentctl("verify", path("app.json"), "--source", "app", "--key", path("release.pub"))
        succeeds(good)
        #expect(good.standardOutput.hasPrefix("good: version "))

        let settings = AgentSettings(sources: [
            "app": SourceSettings(url: "file://\(path("app.json"))", more: ["verify: {keys: \(path("keys"))}"])
        ])
        let agent = try AgentProcess.ready(settings)
        #expect(try agent.value("v").line == "1")

        // Changed under its signature.
        try directory.write("app.json", #"{"v": 66}"#)
        let bad = try agentctl("verify", path("app.json"), "--source", "app", "--key", path("release.pub"))
        #expect(bad.code == 1 && bad.standardError.contains("another document's"), "\(bad)")
        let refused = try agent.refresh("app").json()["sources"]["app"]
        #expect(refused["error"]["code"].string == "signature_mismatch")
        #expect(try agent.value("v").line == "1")
        let status = try agent.control("status")
        #expect(status.code == 1 && status.standardOutput.contains("signature_mismatch"), "\(status)")

        // By another key, which becomes known while the agent runs.
        succeeds(try agentctl("keygen", path("next")))
        try directory.write("app.json", #"{"v": 2}"#)
        succeeds(try agentctl("sign", path("app.json"), "--source", "app", "--key", path("next.key")))
        #expect(try agent.refresh("app").json()["sources"]["app"]["error"]["code"].string == "bad_signature")
        try directory.write("keys/next.pub", readText(path("next.pub")))
        try agent.waitForValue("v", "2")
        // The old one is revoked, and worth nothing from then on.
        let id = try #require(
            try agentctl("verify", path("app.json"), "--source", "app", "--key", path("next.pub"), "-o", "json")
                .json["keys"][0].string
        )
        try directory.write("keys/revoked", id + "\n")
        try waitUntil("it is not believed", deadline: .seconds(20)) {
            try agent.status()["health"]["reasons"].array.contains { $0["code"].string == "source_distrusted" }
        }
        #expect(try agent.value("v").line == "2")
    }

    @Test("openssl and signify sign as well; k of n, by several tools")
    func foreign() throws {
        try directory.write("app.json", #"{"v": 1}"#)
        try Program.check(["openssl", "genpkey", "-algorithm", "ed25519", "-out", path("ssl.key")])
        try Program.check(["openssl", "pkey", "-in", path("ssl.key"), "-pubout", "-out", path("ssl.pub")])
        try Program.check(["signify-openbsd", "-G", "-n", "-p", path("sig.pub"), "-s", path("sig.sec")])
        let document = path("app.json")
        succeeds(
            try agentctl(
                "sign",
                document,
                "--source",
                "app",
                "--signer",
                path("ssl.pub"),
                "--signer",
                path("sig.pub"),
                "--envelope-only"
            )
        )
        let envelope = document + ".envelope"
        try Program.check([
            "openssl", "pkeyutl", "-sign", "-rawin", "-inkey", path("ssl.key"), "-in", envelope, "-out",
            path("ssl.sig"),
        ])
        try Program.check(["signify-openbsd", "-S", "-s", path("sig.sec"), "-m", envelope, "-x", path("sig.sig")])
        succeeds(try agentctl("sign", document, "--attach", path("ssl.sig"), "--signer", path("ssl.pub")))
        let one = try agentctl(
            "verify",
            document,
            "--source",
            "app",
            "--key",
            path("ssl.pub"),
            "--key",
            path("sig.pub"),
            "--threshold",
            "2"
        )
        let lacking = "1 trusted key has signed the document rightly, and 2 have to"
        #expect(one.code == 1 && one.standardError.contains(lacking), "\(one)")
        succeeds(try agentctl("sign", document, "--attach", path("sig.sig"), "--signer", path("sig.pub")))
        succeeds(
            try agentctl(
                "verify",
                document,
                "--source",
                "app",
                "--key",
                path("ssl.pub"),
                "--key",
                path("sig.pub"),
                "--threshold",
                "2"
            )
        )
        // A signature under something else is not attached.
        let wrong = try agentctl("sign", document, "--attach", path("sig.sig"), "--signer", path("ssl.pub"))
        #expect(wrong.code == 1, "\(wrong)")

        // The next release, beside which the signature of this one still lies.
        try directory.write("app.json", #"{"v": 2}"#)
        succeeds(
            try agentctl("sign", document, "--source", "app", "--signer", path("ssl.pub"), "--envelope-only")
        )
        try Program.check([
            "openssl", "pkeyutl", "-sign", "-rawin", "-inkey", path("ssl.key"), "-in", envelope, "-out",
            path("ssl.sig"),
        ])
        succeeds(try agentctl("sign", document, "--attach", path("ssl.sig"), "--signer", path("ssl.pub")))
        succeeds(try agentctl("verify", document, "--source", "app", "--key", path("ssl.pub")))
        // The same document anew, for longer: the envelope that was signed counts, and not the one in the old file.
        succeeds(
            try agentctl(
                "sign",
                document,
                "--source",
                "app",
                "--signer",
                path("ssl.pub"),
                "--envelope-only",
                "--valid",
                "90d"
            )
        )
        try Program.check([
            "openssl", "pkeyutl", "-sign", "-rawin", "-inkey", path("ssl.key"), "-in", envelope, "-out",
            path("ssl.sig"),
        ])
        let again = try agentctl("sign", document, "--attach", path("ssl.sig"), "--signer", path("ssl.pub"))
        #expect(again.standardOutput.contains("valid 90d, 1 signature"), "\(again)")
    }

    @Test("verify goes by the host's name as the agent does, and never sends anybody to itself")
    func verifyAsTheAgent() throws {
        for name in ["one", "two"] { succeeds(try agentctl("keygen", path(name))) }
        let document = try directory.write("app.json", "{}")
        func verify(_ more: String...) throws -> ProgramOutput {
            try Program.run([AgentProcess.path(of: "agentctl"), "verify", document, "--source", "app"] + more)
        }
        func sign(for audience: String) throws {
            succeeds(
                try agentctl("sign", document, "--source", "app", "--key", path("one.key"), "--audience", audience)
            )
        }
        let host = ProcessInfo.processInfo.hostName
        try sign(for: host)
        succeeds(try verify("--key", path("one.pub")))
        try sign(for: "another")
        let another = try verify("--key", path("one.pub"))
        #expect(another.code == 1 && another.standardError.contains("this host goes by \(host):"), "\(another)")
        succeeds(try verify("--key", path("one.pub"), "--audience", "another"))
        let strange = try verify("--key", path("two.pub"))
        #expect(strange.code == 1 && strange.standardError.contains("sign it with a trusted key"), "\(strange)")
        #expect(!strange.standardError.contains("agentctl verify"))

        let both = try verify("--key", path("one.pub"), "--trust", "x", "--root", "y")
        #expect(both.standardError.contains("--key and --trust exclude one another"), "\(both)")
        let nameless = try Program.run([AgentProcess.path(of: "agentctl"), "keygen", path("keys/")])
        #expect(nameless.code != 0 && nameless.standardError.contains("give the files a name"), "\(nameless)")
    }

    @Test("A trust file is left as it is by a key that is no root, and says when it lacks signatures")
    func trustInParts() throws {
        for name in ["root", "other", "stranger"] { succeeds(try agentctl("keygen", path(name))) }
        let file = path("trust")
        let first = try agentctl(
            "trust",
            file,
            "--root",
            path("root.pub"),
            "--root",
            path("other.pub"),
            "--root-threshold",
            "2",
            "--key",
            path("stranger.pub"),
            "--sign-with",
            path("root.key"),
            "-o",
            "json"
        )
        #expect(first.code == 1 && first.standardError.contains("is written, but not complete"), "\(first)")
        #expect(try first.json["complete"].bool == false)
        let begun = readText(file)
        for more in [[], ["--sign-only"]] {
            let refused = try Program.run(
                [AgentProcess.path(of: "agentctl"), "trust", file, "--sign-with", path("stranger.key")] + more
            )
            #expect(refused.code == 1 && refused.standardError.contains("is no root of"), "\(refused)")
            #expect(readText(file) == begun)
        }
        let last = try agentctl("trust", file, "--sign-only", "--sign-with", path("other.key"), "-o", "json")
        succeeds(last)
        #expect(try last.json["complete"].bool == true && last.standardError.isEmpty)
    }

    @Test("A trust file: an agent believes its next version, signed by the root of the one before")
    func trust() throws {
        for name in ["root", "one", "two"] { succeeds(try agentctl("keygen", path(name))) }
        let made = try agentctl(
            "trust",
            path("trust"),
            "--root",
            path("root.pub"),
            "--key",
            path("one.pub"),
            "--sign-with",
            path("root.key"),
            "-o",
            "json"
        )
        let root = try #require(try made.json["root"].string)
        try directory.write("app.json", #"{"v": 1}"#)
        succeeds(
            try agentctl("sign", path("app.json"), "--source", "app", "--key", path("one.key"), "--carried")
        )
        try directory.write("signed.json", readText(path("app.json.signed")))
        let more = ["verify: {trust: {file: \(path("trust")), root: \"\(root)\"}, signature: carried}"]
        let agent = try AgentProcess.ready(
            AgentSettings(sources: ["app": SourceSettings(url: "file://\(path("signed.json"))", more: more)])
        )
        #expect(try agent.value("v").line == "1")
        let revoked = try #require(
            try agentctl("verify", path("signed.json"), "--source", "app", "--key", path("one.pub"), "-o", "json")
                .json["keys"][0].string
        )
        succeeds(
            try agentctl(
                "trust",
                path("trust"),
                "--key",
                path("two.pub"),
                "--revoke",
                revoked,
                "--sign-with",
                path("root.key")
            )
        )
        try directory.write("app.json", #"{"v": 2}"#)
        succeeds(
            try agentctl("sign", path("app.json"), "--source", "app", "--key", path("two.key"), "--carried")
        )
        try directory.write("signed.json", readText(path("app.json.signed")))
        try agent.waitForValue("v", "2")
    }
}

extension ProgramOutput {
    /// What it has printed.
    fileprivate var json: JSONValue {
        get throws { try JSONValue(parsing: standardOutput) }
    }
}
