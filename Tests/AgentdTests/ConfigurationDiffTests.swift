import AgentAPI
import AgentConfiguration
import AgentTelemetry
import Testing

@testable import agentd

@Suite("What differs between two configurations")
struct ConfigurationDiffTests {
    private func diff(_ old: String, _ new: String) throws -> ConfigurationDiff {
        func parse(_ text: String) throws -> AgentConfiguration {
            try AgentConfiguration.parse(yaml: Array(text.utf8), file: "agent.yaml")
        }
        return ConfigurationDiff(from: try parse(old), to: try parse(new))
    }

    private static let base = """
        sources:
          one: {url: "http://a/1"}
          two: {url: "https://a/2", headers: {X-Key: secret-one}}

        """

    @Test func nothing() throws {
        let same = try diff(Self.base, "# a comment\n" + Self.base)
        #expect(same.summary == "nothing changed")
        #expect(same.unchanged == 2)
        #expect(same.fixed.isEmpty)
    }

    @Test func sources() throws {
        let changed = try diff(
            Self.base,
            """
            sources:
              two: {url: "https://a/3", headers: {X-Key: secret-two}, poll: 5s}
              three: {url: "http://a/3"}
            """
        )
        #expect(changed.added == ["three"])
        #expect(changed.removed == ["one"])
        #expect(changed.changed == [ChangedSource(name: "two", settings: ["url", "headers", "poll"])])
        #expect(changed.summary == "added three; removed one; changed two (url, headers, poll)")
        // Values may be secrets: none is told.
        let record = EventRecords.reloaded(changed, onlySecrets: false, generation: 3)
        #expect(!"\(record)".contains("secret"))
        #expect(record.fields.contains { $0 == ("AGENT_SOURCE_REMOVED", "one") })
    }

    @Test("Each setting of a source is noticed, under its own name")
    func eachSetting() throws {
        let url = "https://a/2"
        let changes = [
            ("format", "format: yaml"), ("headers", "headers: {A: b}"), ("max_redirects", "max_redirects: 1"),
            ("allow_link_local", "allow_link_local: true"), ("timeout", "timeout: 1s"),
            ("connect_timeout", "connect_timeout: 1s"), ("tls", "tls: {ca: /x}"), ("poll", "poll: 5s"),
            ("retry", "retry: {base: 2s}"), ("guard", "guard: {max_keys: 5}"), ("required", "required: false"),
        ]
        for (name, line) in changes {
            let found = try diff("sources: {s: {url: \"\(url)\"}}", "sources: {s: {url: \"\(url)\", \(line)}}")
            #expect(found.changed == [ChangedSource(name: "s", settings: [name])])
        }
        let socket = try diff(
            "sources: {s: {url: \"http://a/\"}}",
            "sources: {s: {url: \"http://a/\", unix_socket: /s}}"
        )
        #expect(socket.changed.first?.settings == ["unix_socket"])
    }

    @Test func order() throws {
        let moved = try diff(Self.base, Self.base + "layers: [two, one]\n")
        #expect(moved.settings == ["layers"])
        #expect(moved.changed.isEmpty)
        // Where one was only added or removed, the others have not moved.
        let added = try diff(Self.base, Self.base + "  zero: {url: \"http://a/0\"}\nlayers: [zero, one, two]\n")
        #expect(added.settings.isEmpty)
    }

    @Test("What only a start can change is named")
    func fixed() throws {
        let settings = [
            ("runtime_dir", "runtime_dir: /x"), ("state_dir", "state_dir: /x"), ("workers", "workers: 77"),
            ("limits", "limits: {idle: 5s}"),
        ]
        for (name, line) in settings {
            #expect(try diff(Self.base, Self.base + line + "\n").fixed == [name])
        }
        #expect(try diff(Self.base, Self.base + "locks: {report: 5s}\n").settings == ["locks"])
        #expect(try diff(Self.base, Self.base + "locks: {report: 5s}\n").fixed.isEmpty)
    }
}
