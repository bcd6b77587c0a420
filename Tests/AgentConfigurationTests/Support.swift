import AgentConfiguration
import ConfigSnapshot
import Testing

func parse(_ text: String) throws(ConfigurationErrors) -> AgentConfiguration {
    try AgentConfiguration.parse(yaml: Array(text.utf8), file: "agent.yaml")
}

/// The lines of the error that `text` ends in; none when it is accepted.
func complaints(_ text: String) -> [String] {
    do {
        _ = try parse(text)
        return []
    } catch {
        return error.description.split(separator: "\n").map { String($0) }
    }
}

/// A configuration with one source, in which `lines` stand below the URL.
func withSource(_ lines: String..., url: String = "https://example.com/app.json") -> String {
    "sources:\n  app:\n    url: \(url)\n" + lines.map { "    \($0)\n" }.joined()
}

/// Some YAML and the whole of what is said about it.
struct Bad: Sendable, CustomTestStringConvertible {
    var text: String
    var expected: [String]

    init(_ text: String, _ expected: String...) {
        self.text = text
        self.expected = expected
    }

    var testDescription: String { text }
}
