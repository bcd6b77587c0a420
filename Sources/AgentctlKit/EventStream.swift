/// One server-sent event.
public struct ServerEvent: Sendable, Hashable {
    /// Its kind, `message` where none is named.
    public var name: String
    public var data: String
    /// The last id the server has sent, with this event or before it.
    public var id: String?

    public init(name: String, data: String, id: String?) {
        self.name = name
        self.data = data
        self.id = id
    }
}

/// Takes a stream of server-sent events apart.
public struct EventStream: Sendable {
    private var line: [UInt8] = []
    private var name: String?
    private var data: [String] = []
    private var endedWithReturn = false
    /// The last id, to go on from after a reconnection.
    public private(set) var lastID: String?

    /// - Parameter lastID: the last id of an earlier stream that this one goes on from.
    public init(after lastID: String? = nil) { self.lastID = lastID }

    /// Takes in some bytes.
    ///
    /// - Returns: the events that became whole with them.
    public mutating func take(_ bytes: [UInt8]) -> [ServerEvent] {
        var events: [ServerEvent] = []
        var rest = bytes[...]
        while let end = rest.firstIndex(where: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) {
            // A line ends with a return, a line feed, or both.
            line += rest[..<end]
            let isSecondHalf = endedWithReturn && line.isEmpty && rest[end] == UInt8(ascii: "\n")
            endedWithReturn = rest[end] == UInt8(ascii: "\r")
            rest = rest[(end + 1)...]
            if !isSecondHalf, let event = endLine() { events.append(event) }
        }
        line += rest
        return events
    }

    private mutating func endLine() -> ServerEvent? {
        let text = String(decoding: line, as: UTF8.self)
        line = []
        if text.isEmpty { return endEvent() }
        // A comment: a sign of life.
        guard !text.hasPrefix(":") else { return nil }
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        var value = parts.count > 1 ? parts[1] : ""
        if value.hasPrefix(" ") { value = value.dropFirst() }
        switch parts[0] {
        case "event": name = String(value)
        case "data": data.append(String(value))
        case "id": lastID = String(value)
        default: break
        }
        return nil
    }

    private mutating func endEvent() -> ServerEvent? {
        defer {
            name = nil
            data = []
        }
        guard !data.isEmpty else { return nil }
        return ServerEvent(name: name ?? "message", data: data.joined(separator: "\n"), id: lastID)
    }
}
