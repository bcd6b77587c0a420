internal import ConfigDecode
internal import ConfigSnapshot

/// Takes values out of settings and notes whatever is wrong with them, so that all of it can be told at once.
///
/// Every `read…` returns the given default for a setting that is not there, and for one that is wrong after noting
/// it.
struct SettingsReader {
    let credentials: Credentials
    private var errors: [ConfigurationError] = []
    /// The files that secrets and certificates were, or should have been, read from.
    private(set) var secretFiles: Set<String> = []
    /// What was read from them, by path.
    private(set) var secretBytes: [String: [UInt8]] = [:]
    /// What was read from them before, where that stands in for what cannot be read now; `nil` at the first reading.
    private let earlierSecrets: [String: [UInt8]]?
    /// Why earlier secrets stand in, by path.
    private var unreadable: [String: ConfigurationError] = [:]
    /// Those that were read, but say what cannot be meant.
    private var standIns: [String: [UInt8]] = [:]
    /// What is not in force as it is on disk, by what is wrong with it.
    private var refused: [String: RefusedSetting] = [:]
    /// The one that is being read.
    private var source: SourceName?

    init(credentials: Credentials, earlierSecrets: [String: [UInt8]]? = nil) {
        self.credentials = credentials
        self.earlierSecrets = earlierSecrets
    }

    var isRereading: Bool { earlierSecrets != nil }

    /// What was read from files, to stand in for what cannot be read later.
    var secretsToKeep: [String: [UInt8]] { secretBytes.merging(standIns) { $1 } }

    var refusedSettings: [RefusedSetting] { refused.sorted { $0.key < $1.key }.map(\.value) }

    mutating func begin(_ setting: Setting) { source = SourceName(setting.name) }

    /// Tells of what is on disk and not in force.
    mutating func refuse(_ what: String, _ advice: String?, _ standing: RefusedSetting.Standing = .asBefore) {
        var setting = refused[what] ?? RefusedSetting(sources: [], what: what, advice: advice, standing: standing)
        // One source after the other is read.
        if let source, setting.sources.last != source { setting.sources.append(source) }
        refused[what] = setting
    }

    /// What a file said before it said what cannot be meant; `nil` where it is new.
    mutating func standIn(for path: String, _ problem: SettingProblem) -> [UInt8]? {
        refuse(problem.what, problem.advice)
        let bytes = earlierSecrets?[path]
        standIns[path] = bytes
        return bytes
    }

    /// What is wrong with a section of a source leaves that section as it was, and all others in peace.
    mutating func keepWhatIsWrong(
        of earlier: AgentConfiguration,
        in configuration: inout AgentConfiguration
    ) {
        let known = Dictionary(uniqueKeysWithValues: earlier.sources.map { ($0.name.text, $0) })
        let places = Dictionary(uniqueKeysWithValues: configuration.sources.enumerated().map { ($1.name.text, $0) })
        errors = errors.filter { error in
            guard let names = DottedKey.split(error.key.utf8), names.count > 2, names[0] == "sources",
                let before = known[names[1]], let place = places[names[1]]
            else { return true }
            configuration.sources[place].keep(names[2], of: before)
            source = before.name
            refuse("\(DottedKey.join(Array(names[2...]))): \(error.what)", error.advice)
            return false
        }
    }

    /// Throws what has been noted, if anything has.
    func throwErrors(inOrderOf files: [String]) throws(ConfigurationErrors) {
        if errors.isEmpty { return }
        func place(_ error: ConfigurationError) -> (Int, Int, Int) {
            (files.firstIndex(of: error.file) ?? files.count, error.line ?? 0, error.column ?? 0)
        }
        throw ConfigurationErrors(errors.sorted { place($0) < place($1) })
    }

    mutating func note(_ place: Setting.Place, _ key: String, _ what: String, _ advice: String?) {
        errors.append(
            ConfigurationError(
                file: place.file,
                line: place.position.line,
                column: place.position.column,
                key: key,
                what: what,
                advice: advice
            )
        )
    }

    /// The bytes of a file with a secret or a certificate: those of before where it cannot be read, or is empty, now.
    mutating func secretBytes(of path: String, limit: Int) throws(ConfigurationError) -> [UInt8] {
        try rereadable(path) { () throws(ConfigurationError) in
            let bytes = try ConfigurationFiles.bytes(of: path, limit: limit)
            if bytes.contains(where: { $0 != 0x0A && $0 != 0x0D }) { return bytes }
            let advice = "write the secret into it"
            throw ConfigurationError(file: path, line: nil, column: nil, key: "", what: "is empty", advice: advice)
        }
    }

    /// The same for a file that may well be empty, and for what a directory holds.
    mutating func rereadable(
        _ path: String,
        read: () throws(ConfigurationError) -> [UInt8]
    ) throws(ConfigurationError) -> [UInt8] {
        secretFiles.insert(path)
        // Many sources may name the same file.
        if let bytes = secretBytes[path] {
            if let error = unreadable[path] { refuse("\(path) \(error.what)", error.advice) }
            return bytes
        }
        do throws(ConfigurationError) {
            let bytes = try read()
            secretBytes[path] = bytes
            return bytes
        } catch {
            guard let bytes = earlierSecrets?[path] else { throw error }
            unreadable[path] = error
            refuse("\(path) \(error.what)", error.advice)
            secretBytes[path] = bytes
            return bytes
        }
    }

    mutating func note(_ setting: Setting, _ problem: SettingProblem) {
        note(setting.place, setting.key, problem.what, problem.advice)
    }

    /// The tree of one file; `nil` where there is none.
    mutating func parse(_ file: ConfigurationFiles.File) -> Setting? {
        do throws(DecodeError) {
            let root = Setting(try DocumentNode.parse(yaml: file.bytes), file: file.name)
            switch root.value {
            case .section: return root
            case .scalar(.null): return nil
            case .scalar, .list:
                throw DecodeError(.notAnObject, at: root.place.position, "not a mapping of keys to values")
            }
        } catch {
            if error.code == .empty { return nil }
            errors.append(
                ConfigurationError(
                    file: file.name,
                    line: error.position?.line,
                    column: error.position?.column,
                    key: "",
                    what: error.message,
                    advice: nil
                )
            )
            return nil
        }
    }

    // MARK: Sections and lists

    /// The members of a section by name; empty where there is none.
    mutating func members(_ setting: Setting?, known: [String]) -> [String: Setting] {
        var members: [String: Setting] = [:]
        for member in items(ofSection: setting) {
            if known.contains(member.name) {
                members[member.name] = member
            } else {
                note(member.namePlace, member.key, "unknown key", Self.advice(for: member.name, among: known))
            }
        }
        return members
    }

    /// The members of a section whose names are free.
    mutating func items(ofSection setting: Setting?) -> [Setting] {
        guard let setting else { return [] }
        if case .section(let members) = setting.value { return members }
        noteKind(setting, expected: "a mapping of keys to values", "write them below it, indented")
        return []
    }

    mutating func items(ofList setting: Setting) -> [Setting] {
        if case .list(let items) = setting.value { return items }
        noteKind(setting, expected: "a list", "write it as in [one, two]")
        return []
    }

    static func advice(for name: String, among known: [String]) -> String {
        if let nearest = NearestKeys.nearest(to: name, among: known, limit: 1).first {
            return "did you mean \(shown(nearest))?"
        }
        return "known here: \(known.joined(separator: ", "))"
    }

    // MARK: Values

    mutating func text(_ setting: Setting?) -> String? {
        guard let setting else { return nil }
        if case .scalar(.string(let text)) = setting.value { return String(decoding: text, as: UTF8.self) }
        noteKind(setting, expected: "text", "put it in quotes")
        return nil
    }

    mutating func readBool(_ setting: Setting?, default value: Bool) -> Bool {
        guard let setting else { return value }
        if case .scalar(.bool(let value)) = setting.value { return value }
        noteKind(setting, expected: "true or false", "write one of these two, without quotes")
        return value
    }

    mutating func readInteger(_ setting: Setting?, default value: Int, in range: ClosedRange<Int>) -> Int {
        guard let setting else { return value }
        guard case .scalar(.number(let text)) = setting.value, let number = Int(String(decoding: text, as: UTF8.self))
        else {
            noteKind(setting, expected: "a whole number", "write it in digits, without quotes")
            return value
        }
        return inRange(number, range, setting) { "\($0)" } ?? value
    }

    mutating func readSpan(
        _ setting: Setting?,
        default value: TimeSpan,
        in range: ClosedRange<TimeSpan>
    ) -> TimeSpan {
        guard let setting, let text = textOrNumber(setting, expected: "a length of time, as in 30s") else {
            return value
        }
        do throws(SettingProblem) {
            return inRange(try TimeSpan.parse(text), range, setting, shown: \.description) ?? value
        } catch {
            note(setting, error)
            return value
        }
    }

    mutating func readSize(_ setting: Setting?, default value: Int, in range: ClosedRange<Int>) -> Int {
        guard let setting, let text = textOrNumber(setting, expected: "a size, as in 16MiB") else { return value }
        do throws(SettingProblem) {
            return inRange(try ByteSize.parse(text), range, setting, shown: ByteSize.text) ?? value
        } catch {
            note(setting, error)
            return value
        }
    }

    /// The absolute path of a file or a directory.
    mutating func path(_ setting: Setting?, maxBytes: Int = 4095) -> String? {
        guard let setting, let path = text(setting) else { return nil }
        guard path.hasPrefix("/"), path.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            note(setting, SettingProblem("\(shown(path)) is not an absolute path", "begin it with '/'"))
            return nil
        }
        guard path.utf8.count <= maxBytes else {
            note(setting, SettingProblem("a path of more than \(maxBytes) bytes", "choose a shorter one"))
            return nil
        }
        return path
    }

    private mutating func textOrNumber(_ setting: Setting, expected: String) -> String? {
        switch setting.value {
        case .scalar(.string(let text)), .scalar(.number(let text)): return String(decoding: text, as: UTF8.self)
        default:
            noteKind(setting, expected: expected, "write a single value")
            return nil
        }
    }

    private mutating func inRange<Value: Comparable>(
        _ value: Value,
        _ range: ClosedRange<Value>,
        _ setting: Setting,
        shown: (Value) -> String
    ) -> Value? {
        if range.contains(value) { return value }
        let bounds = "\(shown(range.lowerBound)) to \(shown(range.upperBound))"
        note(setting, SettingProblem("\(shown(value)) is out of range", "allowed are \(bounds)"))
        return nil
    }

    private mutating func noteKind(_ setting: Setting, expected: String, _ advice: String) {
        var advice = advice
        let found: String
        switch setting.value {
        case .list: found = "a list"
        case .section: found = "a mapping"
        case .scalar(.null):
            found = "nothing"
            advice = "give it a value, or remove the key"
        case .scalar(.bool): found = "true or false"
        // What stands at or below one of these may be a secret.
        case .scalar(.number) where isSecret(setting): found = "a number"
        case .scalar(.string) where isSecret(setting): found = "text"
        case .scalar(.number(let text)): found = "the number \(String(decoding: text, as: UTF8.self))"
        case .scalar(.string(let text)): found = shown(String(decoding: text, as: UTF8.self))
        }
        note(setting.place, setting.key, "expected \(expected), found \(found)", advice)
    }

    private func isSecret(_ setting: Setting) -> Bool {
        setting.key.split(separator: ".").contains { $0 == "headers" || $0 == "auth" || $0 == "proxy" }
    }
}
