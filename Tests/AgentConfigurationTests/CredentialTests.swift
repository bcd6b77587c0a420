import AgentConfiguration
import Glibc
import Testing

@Suite("Secrets by reference")
struct CredentialTests {
    private func parse(
        _ text: String,
        _ directory: String?,
        mayBeMissing: Bool = false
    ) throws(ConfigurationErrors) -> AgentConfiguration {
        try AgentConfiguration.parse(
            yaml: Array(text.utf8),
            file: "agent.yaml",
            credentials: Credentials(directory: directory, mayBeMissing: mayBeMissing)
        )
    }

    private func complaints(_ text: String, _ directory: String? = nil) -> [String] {
        do {
            _ = try parse(text, directory)
            return []
        } catch {
            return error.list.map(\.description)
        }
    }

    @Test func headersAndKeys() throws {
        let scratch = try Scratch()
        try scratch.write("token", "s3cret\n")
        try scratch.write("api-key", "k3y")
        let text = withSource(
            "headers:",
            "  Authorization: {credential: token, prefix: \"Bearer \"}",
            "  X-Key: {file: \(scratch.path)/api-key}",
            "tls: {cert: /c.pem, key: {credential: client-key}, ca: {credential: ca}}"
        )
        let source = try parse(text, scratch.path).sources[0]
        #expect(source.headers.map(\.name) == ["Authorization", "X-Key"])
        #expect(source.headers.map(\.value) == ["Bearer s3cret", "k3y"])
        #expect(source.tls.certificate?.path == "/c.pem")
        #expect(source.tls.key?.path == scratch.path + "/client-key")
        #expect(source.tls.ca?.path == scratch.path + "/ca")
    }

    @Test("Keys for AWS, each from another place")
    func awsKeys() throws {
        let scratch = try Scratch()
        try scratch.write("session", "the-session\n")
        try scratch.write("secret", "the-secret\n")
        let text = withSource(
            "region: eu-central-1",
            "auth:",
            "  access_key: the-id",
            "  secret_key: {file: \(scratch.path)/secret}",
            "  session_token: {credential: session}",
            url: "s3://bucket/key.json"
        )
        let auth = try parse(text, scratch.path).sources[0].auth
        #expect(auth.accessKey == "the-id")
        #expect(auth.secretKey == "the-secret")
        #expect(auth.sessionToken == "the-session")
    }

    @Test func rereading() throws {
        let scratch = try Scratch()
        try scratch.write("token", "one\n")
        try scratch.write("ca", "PEM one\n")
        let text = withSource(
            "auth: {token: {file: \(scratch.path)/token}}",
            "tls: {ca: \(scratch.path)/ca, cert: /nowhere, key: {credential: client-key}}",
            "proxy: {url: http://p:1, user: a, password: {credential: token}}"
        )
        let credentials = Credentials(directory: scratch.path)
        let before = try parse(text, scratch.path)
        let files = ["/ca", "/client-key", "/token"].map { scratch.path + $0 } + ["/nowhere"]
        #expect(before.secretFiles == files.sorted())
        #expect(before.sources[0].tls.ca?.bytes == Array("PEM one\n".utf8))
        #expect(before.sources[0].tls.certificate?.bytes == nil)
        #expect(before.sources[0].proxy?.password == "one")
        #expect(try before.rereadingSecrets(credentials: credentials).0 == before)
        try scratch.write("token", "two\n")
        try scratch.write("ca", "PEM two\n")
        let (after, none) = try before.rereadingSecrets(credentials: credentials)
        #expect(none.isEmpty)
        #expect(after.sources[0].auth.token == "two")
        #expect(after.sources[0].proxy?.password == "two")
        #expect(after.sources[0].tls.ca?.bytes == Array("PEM two\n".utf8))
        // What cannot be read, or is empty, leaves what was there, and keeps nothing else from being taken up.
        try scratch.write("token", "\n")
        unlink(scratch.path + "/ca")
        let (kept, refused) = try after.rereadingSecrets(credentials: credentials)
        #expect(kept == after)
        let about = refused.map { setting in String(setting.what.prefix { $0 != " " }) }
        #expect(about == [scratch.path + "/ca", scratch.path + "/token"])
        try scratch.write("token", "three\n")
        #expect(try kept.rereadingSecrets(credentials: credentials).0.sources[0].auth.token == "three")
    }

    @Test func missing() throws {
        let scratch = try Scratch()
        try scratch.write("empty", "\n")
        func header(_ value: String) -> String { withSource("headers: {X-Key: \(value)}") }
        let unit = "add LoadCredential=NAME:/path to the unit (systemctl edit agent), and restart the agent"
        let place = "agent.yaml:4:"
        #expect(
            complaints(header("{credential: token}")) == [
                "\(place)35: sources.app.headers.X-Key.credential: no credentials were handed over; \(unit)"
            ]
        )
        #expect(
            complaints(header("{credential: token}"), scratch.path) == [
                "\(place)22: sources.app.headers.X-Key: \(scratch.path)/token cannot be read: No such file or directory; "
                    + unit
            ]
        )
        #expect(
            complaints(header("{file: /nowhere/key}")) == [
                "\(place)29: sources.app.headers.X-Key: /nowhere/key cannot be read: No such file or directory; "
                    + "put it there, or mend the path"
            ]
        )
        #expect(
            complaints(header("{file: \(scratch.path)/empty}")) == [
                "\(place)29: sources.app.headers.X-Key: \(scratch.path)/empty is empty; write the secret into it"
            ]
        )
        #expect(
            complaints(header("{credential: ../x}"), scratch.path).first?.contains("not a credential's name") == true
        )
        #expect(complaints(header("{}"), scratch.path).first?.contains("needs 'credential', 'file' or 'env'") == true)
        #expect(complaints(header("{credential: a, file: /b}")).first?.contains("give one of the three") == true)
        #expect(complaints(header("{credental: a}")).contains { $0.contains("did you mean 'credential'?") })
    }

    @Test("What is wrong with a secret is told without it")
    func badSecret() throws {
        let scratch = try Scratch()
        try scratch.write("token", "s3cret\u{7}more")
        let found = complaints(withSource("headers: {X-Key: {credential: token}}"), scratch.path)
        #expect(found.count == 1)
        #expect(found.first?.contains("control character") == true)
        #expect(found.first?.contains("s3cret") == false)
    }

    @Test("Whoever only checks need not have the credentials")
    func checking() throws {
        let text = withSource("headers: {X-Key: {credential: token}}", "tls: {cert: /c, key: {credential: k}}")
        #expect(try parse(text, nil, mayBeMissing: true).sources.count == 1)
        #expect(try parse(text, "/nowhere", mayBeMissing: true).sources.count == 1)
        #expect(throws: ConfigurationErrors.self) { try parse(text, nil) }
        // Where they were handed over, one that is missing is an error for everybody.
        let scratch = try Scratch()
        #expect(throws: ConfigurationErrors.self) { try parse(text, scratch.path, mayBeMissing: true) }
    }
}
