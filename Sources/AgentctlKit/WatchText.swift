internal import AgentAPI

/// The lines that `agentctl watch` shows for an event.
public enum WatchText {
    /// The value at the watched key, as the agent sent it; `null` where there is none.
    public static func value(_ event: ServerEvent) throws(Problem) -> String {
        let members = try members(of: event)
        return text(members["value"] ?? Array("null".utf8)[...]) + "\n"
    }

    /// A line for the generation, and one for each key that was set or removed.
    public static func changes(_ event: ServerEvent) throws(Problem) -> String {
        let members = try members(of: event)
        guard let set = members["set"].flatMap({ RawObject($0) }), let generation = members["generation"],
            let removed = members["removed"].flatMap({ try? WireJSON.decode([String].self, from: Array($0)) })
        else { throw senseless }
        let what = event.name == "reset" ? "all keys" : "changes"
        var lines = ["generation \(text(generation)), \(what):"]
        lines += set.members.map { "  \(Printable.clean($0.name)) = \(Printable.clean(text($0.value)))" }
        lines += removed.map { "  \(Printable.clean($0)) removed" }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func members(of event: ServerEvent) throws(Problem) -> RawObject {
        guard let members = RawObject(Array(event.data.utf8)[...]) else { throw senseless }
        return members
    }

    private static func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

    private static var senseless: Problem {
        Problem(
            "the agent sent an event that makes no sense to agentctl \(Version.text)",
            remedy: "see whether agentd has the same version: agentd --version",
            exit: .unknown
        )
    }
}
