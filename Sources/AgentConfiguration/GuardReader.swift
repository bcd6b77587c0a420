internal import ConfigDecode
internal import ConfigGuard
internal import ConfigSnapshot

/// What the documents of a source may cost, and what they have to fulfil: the section `guard`.
extension SettingsReader {
    private static let largestSchema = 4 << 20

    mutating func readGuard(_ setting: Setting?, into source: inout SourceConfiguration) {
        let known = [
            "max_bytes", "max_depth", "max_keys", "required", "keys", "schema", "refuse_empty", "max_shrink", "check",
        ]
        let members = members(setting, known: known)
        readLimits(members, into: &source.limits)
        source.rules.required = requiredKeys(members["required"])
        source.rules.keys = items(ofSection: members["keys"]).compactMap { keyRule($0) }
        source.rules.schema = members["schema"].flatMap { schema($0) }
        source.rules.refusesEmpty = readBool(members["refuse_empty"], default: false)
        source.rules.maxShrink = percentage(members["max_shrink"])
        source.rules.check = check(members["check"])
    }

    private static let checkTimes = TimeSpan.milliseconds(100)...TimeSpan.minutes(1)

    /// `[/usr/bin/nginx, -t]`, or `{command: […], timeout: 10s}`.
    private mutating func check(_ setting: Setting?) -> Check? {
        guard let setting else { return nil }
        guard setting.isSection else { return command(setting).map { Check(command: $0) } }
        let members = members(setting, known: ["command", "timeout"])
        guard let named = members["command"] else {
            note(setting, SettingProblem("has no 'command'", "write it as in {command: [/path/to/program, argument]}"))
            return nil
        }
        let timeout = readSpan(members["timeout"], default: .seconds(10), in: Self.checkTimes)
        return command(named).map {
            Check(command: $0, timeoutMilliseconds: Int(timeout.nanoseconds / 1_000_000))
        }
    }

    private mutating func command(_ setting: Setting) -> [String]? {
        let words = items(ofList: setting).compactMap { text($0) }
        guard let program = words.first else {
            note(setting, SettingProblem("has to name a program", "write it as in [/path/to/program, argument]"))
            return nil
        }
        guard program.hasPrefix("/") else {
            note(
                setting,
                SettingProblem("\(shown(program)) is no whole path", "no shell and no PATH are asked: /path/to/program")
            )
            return nil
        }
        guard words.reduce(0, { $0 + $1.utf8.count + 1 }) <= Check.longestCommand,
            words.allSatisfy({ !$0.utf8.contains(0) })
        else {
            note(setting, SettingProblem("is longer than \(Check.longestCommand) bytes, or has a NUL", "call a script"))
            return nil
        }
        return words
    }

    private mutating func readLimits(_ members: [String: Setting], into limits: inout SourceConfiguration.Limits) {
        limits.maxBytes = readSize(members["max_bytes"], default: limits.maxBytes, in: 1...(1 << 30))
        limits.maxDepth = readInteger(members["max_depth"], default: limits.maxDepth, in: 1...512)
        limits.maxKeys = readInteger(members["max_keys"], default: limits.maxKeys, in: 1...10_000_000)
    }

    private mutating func requiredKeys(_ setting: Setting?) -> [[String]] {
        guard let setting else { return [] }
        return items(ofList: setting).compactMap { item in
            guard let text = text(item) else { return nil }
            guard let names = DottedKey.split(text.utf8) else {
                note(item, Self.noKey(text))
                return nil
            }
            return names
        }
    }

    private static func noKey(_ text: String) -> SettingProblem {
        SettingProblem(
            "\(shown(text)) is not a key",
            "write it as in db.port; a name with a dot in it in quotes: a.\"b.c\""
        )
    }

    /// `db.port: {type: integer}`; `*` stands for any one name.
    private mutating func keyRule(_ setting: Setting) -> GuardRules.KeyRule? {
        guard let names = DottedKey.split(setting.name.utf8) else {
            let problem = Self.noKey(setting.name)
            note(setting.namePlace, setting.key, problem.what, problem.advice)
            return nil
        }
        guard setting.isSection else {
            note(setting, SettingProblem("has to be a rule", "write it as in {type: integer, minimum: 1}"))
            return nil
        }
        do throws(SchemaProblem) {
            let path = names.map { $0 == "*" ? nil : Array($0.utf8) }
            return GuardRules.KeyRule(path: path, schema: try Schema(setting.node))
        } catch {
            let place = Setting.Place(file: setting.place.file, position: error.position)
            note(place, error.key.isEmpty ? setting.key : "\(setting.key).\(error.key)", error.message, error.advice)
            return nil
        }
    }

    /// What a file says, which is read again when it changes.
    private mutating func schema(_ setting: Setting) -> Schema? {
        guard let file = path(setting) else { return nil }
        let bytes: [UInt8]
        do throws(ConfigurationError) {
            bytes = try rereadable(file) { () throws(ConfigurationError) in
                try ConfigurationFiles.bytes(of: file, limit: Self.largestSchema)
            }
        } catch {
            note(setting, SettingProblem("\(file) \(error.what)", error.advice ?? "let the agent's user read it"))
            return nil
        }
        do throws(DecodeError) {
            let isYAML = file.hasSuffix(".yaml") || file.hasSuffix(".yml")
            let node = try DocumentNode.parse(bytes, as: isYAML ? .yaml : .json, maxDepth: 128)
            do throws(SchemaProblem) { return try Schema(node) } catch {
                let place = "\(file):\(error.position.line):\(error.position.column)"
                let key = error.key.isEmpty ? "" : " \(error.key):"
                note(setting, SettingProblem("\(place):\(key) \(error.message)", error.advice ?? "mend the schema"))
            }
        } catch {
            note(setting, SettingProblem("\(file): \(error)", "mend the file"))
        }
        return nil
    }

    /// `30%`, or `30`.
    private mutating func percentage(_ setting: Setting?) -> Int? {
        guard let setting else { return nil }
        var text: Substring?
        switch setting.value {
        case .scalar(.string(let bytes)), .scalar(.number(let bytes)):
            text = String(decoding: bytes, as: UTF8.self)[...]
            if text?.hasSuffix("%") == true { text = text?.dropLast() }
        default: break
        }
        guard let text, let number = Int(text), (0...100).contains(number), text.first != "+" else {
            note(setting, SettingProblem("has to be a percentage from 0 to 100", "write it as in 30%"))
            return nil
        }
        return number
    }
}
