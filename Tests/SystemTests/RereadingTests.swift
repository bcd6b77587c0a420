internal import Foundation
import TestSupport
import Testing

/// What the agent's configuration names on disk, changed while the agent runs.
@Suite("Files of the configuration, read again")
struct RereadingTests {
    @Test(
        "A revoked key is believed no more while the schema of another source is broken; health tells until it is mended"
    )
    func revokedWhileSchemaIsBroken() throws {
        let files = try TemporaryDirectory()
        try createDirectory(files.path("keys"))
        let keygen = try Program.run([AgentProcess.path(of: "agentctl"), "keygen", files.path("release")])
        #expect(keygen.code == 0, "\(keygen)")
        try files.write("keys/release.pub", readText(files.path("release.pub")))
        let schema = try files.write("schema.json", "{}")
        let keys = "verify: {keys: \(files.path("keys"))}"
        for name in ["signed", "plain"] { try files.write("\(name).json", "{}") }
        let signed = try Program.run([
            AgentProcess.path(of: "agentctl"), "sign", files.path("signed.json"), "--source", "signed", "--key",
            files.path("release.key"),
        ])
        #expect(signed.code == 0, "\(signed)")
        let agent = try AgentProcess.ready(
            AgentSettings(sources: [
                "signed": SourceSettings(url: "file://\(files.path("signed.json"))", more: [keys]),
                "plain": SourceSettings(
                    url: "file://\(files.path("plain.json"))",
                    more: ["guard: {schema: \(schema)}"]
                ),
            ])
        )
        func reasons(_ code: String) throws -> [JSONValue] {
            try agent.status()["health"]["reasons"].array.filter { $0["code"].string == code }
        }
        let verified = try Program.run([
            AgentProcess.path(of: "agentctl"), "verify", files.path("signed.json"), "--source", "signed", "--key",
            files.path("release.pub"), "-o", "json",
        ])
        let id = try #require(try JSONValue(parsing: verified.standardOutput)["keys"][0].string)

        try files.write("schema.json", "{\"type\": ")
        try waitUntil("health to tell of the schema", deadline: .seconds(30)) {
            try !reasons("settings_refused").isEmpty
        }
        let reason = try #require(try reasons("settings_refused").first)
        #expect(reason["source"].string == "plain")
        #expect(reason["message"].string?.contains("guard.schema: \(schema)") == true, "\(reason)")
        #expect(reason["message"].string?.contains("what was read before stays in force") == true, "\(reason)")
        try files.write("keys/revoked", "\(id)\n")
        try waitUntil("the key to be revoked", deadline: .seconds(30)) { try !reasons("source_distrusted").isEmpty }
        #expect(try agent.refresh("signed").json()["sources"]["signed"]["error"]["code"].string == "revoked_key")
        #expect(try agent.control("status").code == 1)
        #expect(agent.log.contains("not taken over from disk: source plain: guard.schema"), "\(agent.log)")
        #expect(!agent.log.contains("configuration refused"), "\(agent.log)")

        // With a typo in the list it stays as it was, and that is told as well.
        try files.write("keys/revoked", "\(id)0\n")
        try waitUntil("health to tell of the list", deadline: .seconds(30)) {
            try reasons("settings_refused").contains { $0["source"].string == "signed" }
        }
        #expect(try !reasons("source_distrusted").isEmpty)
        try files.write("keys/revoked", "")
        try files.write("schema.json", "{}")
        try waitUntil("all to be well", deadline: .seconds(30)) {
            try agent.status()["health"]["level"].string == "healthy"
        }
        try waitUntil("the record") { agent.log.contains("is in force again") }

        // Without any key nothing is believed.
        unlink(files.path("keys/release.pub"))
        try waitUntil("health to tell", deadline: .seconds(30)) {
            try reasons("settings_refused").contains { $0["message"].string?.contains("there is no key in") == true }
        }
        #expect(try !reasons("source_distrusted").isEmpty)
    }
}
