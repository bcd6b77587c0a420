internal import AgentAPI

/// A value as `agentctl get` shows it.
public struct ConfigValue: Sendable, Hashable {
    /// The key asked for; empty for the whole configuration.
    public let key: String
    /// The value's JSON, as the agent sent it.
    public let json: [UInt8]
    /// The generation it was read from.
    public let generation: UInt64?
    /// The source that gave it; `nil` for an object put together from several.
    public let source: String?
    /// That source's revision.
    public let revision: String?
    /// Of a source's document on demand: `fresh` or `last_good`.
    public let state: String?

    /// A value and where it came from.
    public init(
        key: String,
        json: [UInt8],
        generation: UInt64?,
        source: String?,
        revision: String?,
        state: String? = nil
    ) {
        self.key = key
        self.json = json
        self.generation = generation
        self.source = source
        self.revision = revision
        self.state = state
    }

    /// One JSON object: the value, untouched, beside where it came from.
    public func envelope() throws -> [UInt8] {
        var bytes = Array(#"{"generation":"#.utf8)
        bytes += try WireJSON.encode(generation)
        bytes += Array(#","key":"#.utf8) + (try WireJSON.encode(key))
        bytes += Array(#","revision":"#.utf8) + (try WireJSON.encode(revision))
        bytes += Array(#","source":"#.utf8) + (try WireJSON.encode(source))
        bytes += Array(#","state":"#.utf8) + (try WireJSON.encode(state))
        bytes += Array(#","value":"#.utf8) + json
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }

    /// The value for a shell: a string without its quotes and escapes, anything else as JSON.
    public func unquoted() -> [UInt8] {
        guard json.first == UInt8(ascii: "\""), let text = try? WireJSON.decode(String.self, from: json) else {
            return json
        }
        return Array(text.utf8)
    }
}
