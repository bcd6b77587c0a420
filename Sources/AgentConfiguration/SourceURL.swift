internal import ConfigSnapshot

/// The URL of a source, taken apart as far as the agent has to know.
struct SourceURL: Equatable {
    var kind: SourceKind
    /// For a file: its path, percent-decoded. For HTTP: the path of the request, as written, without the query.
    var path: String

    /// Checks `text` and takes it apart.
    ///
    /// - Parameter login: where a user and a password belong that are no part of it; `nil` for what its kind says.
    static func parse(_ text: String, login: String? = nil) throws(SettingProblem) -> SourceURL {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw SettingProblem(
                "the URL holds a space, a control character or a letter that is not ASCII",
                "percent-encode it"
            )
        }
        let (schemeText, rest) = try splitScheme(text)
        let kind = try kind(schemeText)
        if rest.contains("#") {
            throw SettingProblem("a URL with a fragment ('#…')", "leave it out: a fragment is never sent")
        }
        let settings = KindSettings.of(kind)
        let path = try kind == .file ? filePath(rest) : httpPath(rest, login: login ?? settings.login)
        if let problem = settings.problem(path, rest) ?? settings.problem(ofQuery: rest) { throw problem }
        return SourceURL(kind: kind, path: path)
    }

    private static func kind(_ text: String) throws(SettingProblem) -> SourceKind {
        let lower = text.lowercased()
        if let kind = SourceKind(rawValue: lower) { return kind }
        let mayBePlain = SourceKind.allCases.filter { KindSettings.of($0).mayBePlain }
        if let kind = mayBePlain.first(where: { lower == "\($0.rawValue)+http" || lower == "\($0.rawValue)+https" }) {
            return kind
        }
        let known = SourceKind.allCases.map(\.rawValue) + mayBePlain.map { "\($0.rawValue)+http" }
        throw SettingProblem("the scheme \(shown(text)) is unknown", "known are \(known.joined(separator: ", "))")
    }

    /// What stands before `://` and after it.
    private static func splitScheme(_ text: String) throws(SettingProblem) -> (scheme: String, rest: Substring) {
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://"), colon != text.startIndex else {
            throw SettingProblem("this is not a URL", "write it as in https://example.com/app.json")
        }
        return (String(text[..<colon]), text[colon...].dropFirst(3))
    }

    private static func filePath(_ rest: Substring) throws(SettingProblem) -> String {
        guard rest.hasPrefix("/"), rest.count > 1 else {
            throw SettingProblem("a file URL without an absolute path", "write it as in file:///etc/agent/app.json")
        }
        guard !rest.contains("?") else {
            throw SettingProblem("a file URL with a query ('?…')", "write %3F for a '?' in a file's name")
        }
        guard let path = PercentEncoding.decode(rest, allowsZero: false) else {
            throw SettingProblem(
                "a file URL with a '%' that two hexadecimal digits do not follow, or that is no UTF-8",
                "write %25 for a '%' in a file's name"
            )
        }
        return path
    }

    private static func httpPath(_ rest: Substring, login: String) throws(SettingProblem) -> String {
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard !authority.contains("@") else {
            throw SettingProblem(
                "a URL with a user name or a password",
                "leave it out and write it beside the URL: '\(login)'"
            )
        }
        let (host, port) = splitPort(authority)
        guard isHost(host) else {
            throw SettingProblem("a URL without a usable host name", "write it as in https://example.com/app.json")
        }
        if let port {
            guard port.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }),
                let number = UInt16(port), number > 0
            else { throw SettingProblem("\(shown(String(port))) is not a port", "a port is 1 to 65535") }
        }
        let path = rest[authority.endIndex...].prefix { $0 != "?" }
        return path.isEmpty ? "/" : String(path)
    }

    /// The host, and what follows the colon after it where there is one.
    private static func splitPort(_ authority: Substring) -> (host: Substring, port: Substring?) {
        let end: Substring.Index
        if authority.hasPrefix("["), let bracket = authority.firstIndex(of: "]") {
            end = authority.index(after: bracket)
        } else {
            end = authority.firstIndex(of: ":") ?? authority.endIndex
        }
        let rest = authority[end...]
        if rest.isEmpty { return (authority, nil) }
        // Something other than a port after a bracket makes the whole of it no host.
        return rest.hasPrefix(":") ? (authority[..<end], rest.dropFirst()) : ("", nil)
    }

    private static func isHost(_ host: Substring) -> Bool {
        if host.hasPrefix("["), host.hasSuffix("]") {
            let parts = host.dropFirst().dropLast().split(separator: "%", maxSplits: 1)
            return parts.first?.contains(":") == true
                && parts[0].allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "." }
                && parts.dropFirst().allSatisfy { isName($0) }
        }
        return isName(host)
    }

    private static func isName(_ name: Substring) -> Bool {
        return !name.isEmpty && name.utf8.count <= 253
            && name.allSatisfy { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "." || $0 == "_" }
    }
}
