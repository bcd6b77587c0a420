internal import Glibc

/// Where secrets are that are not written into the configuration: what systemd's `LoadCredential=` hands over.
public struct Credentials: Sendable {
    /// The directory with one file for each credential; `nil` where nobody has handed any over.
    public var directory: String?
    /// Whether one that is missing is no error: for whoever only checks, and is not the service.
    public var mayBeMissing: Bool

    public init(directory: String?, mayBeMissing: Bool = false) {
        self.directory = directory
        self.mayBeMissing = mayBeMissing
    }

    /// The service's own: `$CREDENTIALS_DIRECTORY`.
    public static var ofService: Credentials {
        // SAFETY: copied at once; nobody changes the environment of a process of ours while it reads its configuration.
        Credentials(directory: getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) })
    }

    /// For a look from outside: those of the running service, as far as they may be read.
    public static var forChecking: Credentials {
        var own = Credentials.ofService
        own.directory = own.directory ?? "/run/credentials/agent.service"
        own.mayBeMissing = true
        return own
    }

    /// A credential longer than this is none.
    static let maxBytes = 64 << 10

    /// The certificates of all authorities that there are take a fifth of that.
    static let maxPEMBytes = 1 << 20

    /// Whether there is nothing to look at, and that is no error.
    var areUnknown: Bool { mayBeMissing && directory.map { access($0, X_OK) != 0 } ?? true }

    func path(of name: String) -> String? { directory.map { "\($0)/\(name)" } }

    static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 255 && name != "." && name != ".."
            && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") }
    }
}

/// Secrets by reference.
extension SettingsReader {
    /// Text that is written here, or in a credential, a file or the environment: `{credential: NAME, prefix: "Bearer "}`.
    mutating func secret(_ setting: Setting) -> String? {
        guard setting.isSection else { return text(setting) }
        let members = members(setting, known: ["credential", "file", "env", "prefix"])
        let prefix = members["prefix"].flatMap { text($0) } ?? ""
        guard ["credential", "file", "env"].count(where: { members[$0] != nil }) == 1 else {
            let what = "needs 'credential', 'file' or 'env'"
            note(setting.namePlace, setting.key, what, "give one of the three")
            return nil
        }
        if let variable = members["env"] { return environment(variable).map { prefix + $0 } }
        let place = members["file"] ?? setting
        let file = members["credential"] == nil ? path(members["file"]) : credential(members["credential"])
        guard let file else { return nil }
        do throws(ConfigurationError) {
            let bytes = try secretBytes(of: file, limit: Credentials.maxBytes)
            // Editors end a file with a line break, which no header's value holds.
            let end = bytes.lastIndex { $0 != 0x0A && $0 != 0x0D }.map { $0 + 1 } ?? 0
            return prefix + String(decoding: bytes[..<end], as: UTF8.self)
        } catch {
            if members["credential"] != nil, credentials.areUnknown { return prefix + "?" }
            let isMissing = error.what != "is empty" && members["credential"] != nil
            let advice = isMissing ? Self.missingCredential : error.advice
            note(place.place, setting.key, "\(file) \(error.what)", advice)
            return nil
        }
    }

    private mutating func environment(_ setting: Setting) -> String? {
        guard let name = text(setting) else { return nil }
        // SAFETY: copied at once; nobody changes the environment of a process of ours while it reads its configuration.
        if let value = getenv(name).map({ String(cString: $0) }), !value.isEmpty { return value }
        if credentials.mayBeMissing { return "?" }
        note(
            setting,
            SettingProblem(
                "there is no \(shown(name)) in the agent's environment",
                "set it with Environment= or EnvironmentFile= of the unit, and restart the agent"
            )
        )
        return nil
    }

    /// The path of a file that is named here, or is a credential: `{credential: NAME}`.
    mutating func secretPath(_ setting: Setting?) -> String? {
        guard let setting, setting.isSection else { return path(setting) }
        let members = members(setting, known: ["credential"])
        guard let name = members["credential"] else {
            note(setting.namePlace, setting.key, "needs a path or 'credential'", "name the file")
            return nil
        }
        return credential(name)
    }

    /// A file in PEM form, and its bytes where they can be read: where not, the source says so when it is asked.
    mutating func pem(_ setting: Setting?) -> SourceConfiguration.PEM? {
        guard let path = secretPath(setting) else { return nil }
        return SourceConfiguration.PEM(path: path, bytes: try? secretBytes(of: path, limit: Credentials.maxPEMBytes))
    }

    private mutating func credential(_ setting: Setting?) -> String? {
        guard let setting, let name = text(setting) else { return nil }
        guard Credentials.isName(name) else {
            note(
                setting,
                SettingProblem("\(shown(name)) is not a credential's name", "use the name in LoadCredential=")
            )
            return nil
        }
        if let path = credentials.path(of: name) { return path }
        if credentials.areUnknown { return "/\(name)" }
        note(setting, SettingProblem("no credentials were handed over", Self.missingCredential))
        return nil
    }

    private static let missingCredential =
        "add LoadCredential=NAME:/path to the unit (systemctl edit agent), and restart the agent"
}
