import AgentConfiguration
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
        #expect(source.tls.certificate == "/c.pem")
        #expect(source.tls.key == scratch.path + "/client-key")
        #expect(source.tls.ca == scratch.path + "/ca")
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
                    + "let the agent's user read it"
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
        #expect(complaints(header("{}"), scratch.path).first?.contains("needs either 'credential' or 'file'") == true)
        #expect(complaints(header("{credential: a, file: /b}")).first?.contains("give one of the two") == true)
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
