/// A header sent with each request to a source.
public struct HeaderField: Sendable, Hashable {
    public var name: String
    public var value: String

    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }

    /// What the agent says itself: a second opinion would break caching, bodies or the connection.
    private static let reserved: Set<String> = [
        "accept-encoding", "connection", "content-length", "if-modified-since", "if-none-match", "te", "trailer",
        "transfer-encoding", "upgrade",
    ]

    static func check(name: String) throws(SettingProblem) {
        let isToken = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
        }
        guard isToken, !name.isEmpty else {
            throw SettingProblem("\(shown(name)) is not a header's name", "use letters, digits and '-'")
        }
        guard !reserved.contains(name.lowercased()) else {
            throw SettingProblem("the agent sets this header itself", "remove it")
        }
    }

    /// The message does not repeat the value: it may be a secret.
    static func check(value: String) throws(SettingProblem) {
        guard value.utf8.allSatisfy({ ($0 >= 0x20 && $0 < 0x7F) || $0 == 0x09 }) else {
            throw SettingProblem(
                "a line break, a control character or a letter that is not ASCII in a header's value",
                "remove it; a block ('|') ends in a line break, '|-' does not"
            )
        }
    }
}
