internal import ConfigDecode
internal import ConfigSnapshot

/// Takes out what must not leave this host.
enum Redaction {
    static let removed = "[removed]"
    /// No configuration of the agent is larger.
    static let maxFile = 1 << 20

    /// Whether what has this name is not for others to see.
    static func looksSecret(_ name: String) -> Bool {
        let lower = name.lowercased()
        // The one setting of the agent with such a name that is a plain number.
        if lower == "max_keys" { return false }
        return [
            "password", "passwd", "passphrase", "secret", "token", "key", "credential", "auth", "cookie", "signature",
        ]
        .contains { lower.contains($0) }
    }

    // MARK: URLs

    /// `text` with the user and the values of the query taken out of each URL in it.
    static func urls(in text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: ":")), text.contains("://") else { return text }
        var result = ""
        var rest = text[...]
        while let mark = firstMark(in: rest) {
            let end = rest[mark...].firstIndex { isEnd($0) } ?? rest.endIndex
            result += rest[..<mark]
            result += redacted(afterScheme: rest[mark..<end])
            rest = rest[end...]
        }
        return result + rest
    }

    /// Where what follows the next `://` begins.
    private static func firstMark(in text: Substring) -> Substring.Index? {
        var rest = text
        while let colon = rest.firstIndex(of: ":") {
            rest = rest[colon...]
            if rest.hasPrefix("://") { return rest.index(colon, offsetBy: 3) }
            rest = rest.dropFirst()
        }
        return nil
    }

    private static func isEnd(_ character: Character) -> Bool {
        character.isWhitespace || "\"'<>`|".contains(character)
    }

    private static func redacted(afterScheme text: Substring) -> String {
        let pathStart = text.firstIndex { "/?#".contains($0) } ?? text.endIndex
        var result = ""
        var rest = text
        if let at = text[..<pathStart].lastIndex(of: "@") {
            result = removed + "@"
            rest = text[text.index(after: at)...]
        }
        guard let question = rest.firstIndex(of: "?") else { return result + rest }
        let query = rest[question...].dropFirst()
        let parts = query.split(separator: "&", omittingEmptySubsequences: false).map { part -> String in
            guard let equals = part.firstIndex(of: "=") else { return part.isEmpty ? "" : removed }
            return String(part[...equals]) + removed
        }
        return result + rest[...question] + parts.joined(separator: "&")
    }

    /// Whether a URL carries a user, or a value in its query whose name says that it is a secret.
    static func hasSecretInURL(_ text: String) -> Bool { !secrets(inURL: text, all: false).isEmpty }

    /// What of a URL would be taken out of it.
    private static func secrets(inURL text: String, all: Bool) -> [String] {
        guard let mark = firstMark(in: text[...]) else { return [] }
        let rest = text[mark...]
        let pathStart = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        var found: [String] = []
        if let at = rest[..<pathStart].lastIndex(of: "@") {
            found += rest[..<at].split(separator: ":").map(String.init)
        }
        if let question = rest.firstIndex(of: "?") {
            for part in rest[question...].dropFirst().split(separator: "&") {
                let pair = part.split(separator: "=", maxSplits: 1)
                if pair.count == 2, all || looksSecret(String(pair[0])) { found.append(String(pair[1])) }
            }
        }
        return found
    }

    // MARK: The agent's configuration

    /// A file of the agent's configuration without its secrets and its comments, and what was taken out of it.
    static func configuration(_ yaml: [UInt8]) throws(DecodeError) -> (text: String, secrets: [String]) {
        let root = try DocumentNode.parse(yaml: yaml)
        var writer = RedactedYAML()
        writer.write(root, indent: 0, name: "", isSecret: false)
        return (writer.text, writer.secrets)
    }

    /// All values that a URL in the configuration gives away.
    static func everySecret(inURL text: String) -> [String] { secrets(inURL: text, all: true) }

    // MARK: Units

    /// What `systemctl show` and `systemctl cat` say, without what is set in the environment or passed in.
    static func unit(_ text: String) -> String {
        var isContinued = false
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line -> Substring in
            let goesOn = line.hasSuffix("\\")
            if isContinued {
                isContinued = goesOn
                return Substring(removed)
            }
            guard let equals = line.firstIndex(of: "=") else { return line }
            let name = line[..<equals].drop { $0 == " " || $0 == "#" }
            guard carriesSecrets(String(name)) else { return line }
            isContinued = goesOn
            return line[...equals] + removed
        }
        return urls(in: lines.joined(separator: "\n"))
    }

    private static func carriesSecrets(_ property: String) -> Bool {
        ["Environment", "PassEnvironment", "SetCredential", "LoadCredential", "ImportCredential"]
            .contains { property.hasPrefix($0) && property != "EnvironmentFiles" && property != "EnvironmentFile" }
    }
}

/// Text from which known secrets are taken out wherever they appear.
struct Scrubber {
    private let secrets: [[UInt8]]

    /// - Parameter secrets: the longest are taken out first; what is too short to be told from other text is left.
    init(_ secrets: [String]) {
        var words: Set<String> = []
        for secret in secrets {
            words.insert(secret)
            // `Bearer` tells nothing, what follows it does.
            for word in secret.split(separator: " ") where word.utf8.count > 6 { words.insert(String(word)) }
            if let decoded = PercentEncoding.decode(secret[...], allowsZero: false) { words.insert(decoded) }
        }
        self.secrets = words.map { Array($0.utf8) }.filter { $0.count >= 4 }.sorted { $0.count > $1.count }
    }

    func scrub(_ bytes: [UInt8]) -> [UInt8] {
        var result = bytes
        for secret in secrets where result.count >= secret.count { result = Self.replace(secret, in: result) }
        return result
    }

    private static func replace(_ secret: [UInt8], in bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var start = 0
        var index = 0
        while index + secret.count <= bytes.count {
            if bytes[index] == secret[0], bytes[index..<index + secret.count].elementsEqual(secret) {
                result += bytes[start..<index] + Array(Redaction.removed.utf8)
                index += secret.count
                start = index
            } else {
                index += 1
            }
        }
        return start == 0 ? bytes : result + bytes[start...]
    }
}

/// Writes a tree as YAML again, with every string in quotes.
private struct RedactedYAML {
    private(set) var text = ""
    private(set) var secrets: [String] = []

    /// Names of what holds a secret, or what stands before one.
    private static let references = ["credential", "file", "prefix"]

    /// - Parameter name: the name of the member that this is, or is an item of.
    mutating func write(_ node: DocumentNode, indent: Int, name: String, isSecret: Bool) {
        let margin = String(repeating: " ", count: indent)
        switch node.kind {
        case .scalar(let scalar): text += margin + shown(scalar, name, isSecret) + "\n"
        case .mapping(let members) where members.isEmpty: text += margin + "{}\n"
        case .sequence(let items) where items.isEmpty: text += margin + "[]\n"
        case .mapping(let members):
            for member in members {
                let hides =
                    isSecret || member.name == "headers" || member.name == "user" || Redaction.looksSecret(member.name)
                text += margin + quoted(member.name) + ":"
                let isCommand = member.name == "check" || member.name == "command"
                if isCommand, case .sequence(let words) = member.node.kind, !words.isEmpty {
                    text += "\n"
                    writeCommand(words, indent: indent + 2)
                    continue
                }
                writeValue(member.node, indent: indent, name: member.name, isSecret: hides)
            }
        case .sequence(let items):
            for item in items {
                text += margin + "-"
                writeValue(item, indent: indent, name: name, isSecret: isSecret)
            }
        }
    }

    /// A program and its arguments, of which no more is kept than paths and the names of options.
    private mutating func writeCommand(_ words: [DocumentNode], indent: Int) {
        let margin = String(repeating: " ", count: indent)
        var isSecret = false
        for (index, word) in words.enumerated() {
            let argument = word.text ?? ""
            let shown = index == 0 ? argument : self.shown(argument: argument, isSecret: isSecret)
            text += margin + "- " + quoted(shown) + "\n"
            isSecret = argument.hasPrefix("--") && !argument.contains("=") && Redaction.looksSecret(argument)
        }
    }

    /// - Parameter isSecret: whether the option before it says so.
    private mutating func shown(argument: String, isSecret: Bool) -> String {
        if isSecret {
            secrets.append(argument)
            return Redaction.removed
        }
        let name = String(argument.prefix { $0 != "=" })
        let hasValue = name != argument
        if hasValue, Redaction.looksSecret(name) { secrets.append(String(argument.dropFirst(name.count + 1))) }
        if name.hasPrefix("--") { return hasValue ? name + "=" + Redaction.removed : name }
        // As in `-pPASSWORD`.
        if name.hasPrefix("-"), argument.utf8.count > 2 {
            secrets.append(String(argument.dropFirst(2)))
            return Redaction.removed
        }
        let isPlain = name.hasPrefix("-") || (name.hasPrefix("/") && !hasValue)
        return isPlain ? argument : Redaction.removed
    }

    private func quoted(_ text: String) -> String {
        var bytes: [UInt8] = []
        JSONText.appendString(text.utf8, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// After a colon or a dash: on the same line, or below it and indented.
    private mutating func writeValue(_ node: DocumentNode, indent: Int, name: String, isSecret: Bool) {
        switch node.kind {
        case .scalar(let scalar): text += " " + shown(scalar, name, isSecret) + "\n"
        case .mapping(let members) where members.isEmpty: text += " {}\n"
        case .sequence(let items) where items.isEmpty: text += " []\n"
        case .mapping, .sequence:
            text += "\n"
            write(node, indent: indent + 2, name: name, isSecret: isSecret)
        }
    }

    private mutating func shown(_ scalar: Scalar, _ name: String, _ isSecret: Bool) -> String {
        switch scalar {
        case .number(let value) where isSecret, .string(let value) where isSecret:
            let secret = String(decoding: value, as: UTF8.self)
            // A path leads to a secret and is none: elsewhere it has to be told which file is meant.
            if !secret.hasPrefix("/"), !Self.references.contains(name) { secrets.append(secret) }
            return quoted(Redaction.removed)
        default: break
        }
        switch scalar {
        case .null: return "null"
        case .bool(let value): return "\(value)"
        case .number(let value): return String(decoding: value, as: UTF8.self)
        case .string(let value):
            let string = String(decoding: value, as: UTF8.self)
            secrets += Redaction.everySecret(inURL: string)
            return quoted(Redaction.urls(in: string))
        }
    }
}
