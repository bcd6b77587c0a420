internal import ConfigSnapshot

/// The settings of one source.
extension SettingsReader {
    private static let known = [
        "url", "mirrors", "prefer", "max_latency", "unix_socket", "format", "headers", "auth", "region", "endpoint",
        "max_redirects", "allow_link_local",
        "timeout", "connect_timeout", "tls", "proxy", "poll", "watch", "retry", "verify", "guard", "required",
        "load", "idle", "readers",
    ]

    /// - Returns: `nil` where so much is wrong that there is nothing to return.
    mutating func source(_ setting: Setting) -> SourceConfiguration? {
        let name = SourceName(setting.name)
        if name == nil {
            note(
                setting.namePlace,
                setting.key,
                "\(shown(setting.name)) cannot be a source's name",
                "use up to 64 letters, digits, '-' and '_', a letter or a digit first"
            )
        }
        let members = members(setting, known: Self.known)
        let location = location(members["url"], of: setting)
        // All the rest is read even without a name or a URL, so that all that is wrong with it is told.
        guard let anyName = name ?? SourceName("unnamed") else { return nil }
        var source = SourceConfiguration(
            name: anyName,
            url: location?.text ?? "",
            kind: location?.url.kind ?? .https,
            path: location?.url.path ?? "/"
        )
        source.mirrors = mirrors(members["mirrors"], of: location?.url.kind, besides: source.url)
        source.prefer = preference(members["prefer"], hasMirrors: members["mirrors"] != nil)
        let latencies = TimeSpan.milliseconds(1)...TimeSpan.minutes(1)
        source.maxLatency = readSpan(members["max_latency"], default: source.maxLatency, in: latencies)
        source.format = format(members["format"])
        source.headers = headers(members["headers"])
        source.auth = auth(members["auth"], of: location?.url.kind)
        source.region = region(members["region"])
        source.endpoint = endpoint(members["endpoint"])
        source.watch = readBool(members["watch"], default: source.watch)
        source.unixSocket = path(members["unix_socket"], maxBytes: 107)
        source.maxRedirects = readInteger(members["max_redirects"], default: source.maxRedirects, in: 0...10)
        source.allowLinkLocal = readBool(members["allow_link_local"], default: source.allowLinkLocal)
        let times = TimeSpan.milliseconds(10)...TimeSpan.hours(1)
        source.timeout = readSpan(members["timeout"], default: source.timeout, in: times)
        source.connectTimeout = readSpan(members["connect_timeout"], default: source.connectTimeout, in: times)
        source.tls = tls(members["tls"])
        source.proxy = proxy(members["proxy"])
        source.poll = poll(members["poll"], default: source.poll)
        readRetry(members["retry"], into: &source.retry)
        source.verification = verification(members["verify"], of: location?.url.kind, at: source.url, path: source.path)
        readGuard(members["guard"], into: &source)
        source.required = readBool(members["required"], default: source.required)
        source.idle = idle(members)
        source.readers = readers(members["readers"], isOnDemand: source.idle != nil)
        if source.idle != nil { source.required = false }
        if let location {
            noteMisplaced(members, for: location.url.kind)
            noteMissing(members, for: location.url.kind, in: setting)
            notePlain(members["tls"], source)
            noteContradictions(members, source)
        }
        return name == nil || location == nil ? nil : source
    }

    private mutating func location(_ url: Setting?, of source: Setting) -> (text: String, url: SourceURL)? {
        guard let url else {
            if source.isSection {
                note(
                    source.namePlace,
                    DottedKey.join(source.path + ["url"]),
                    "is missing",
                    "say where the document is, as in 'url: https://example.com/app.json'"
                )
            }
            return nil
        }
        guard let text = text(url) else { return nil }
        do throws(SettingProblem) {
            return (text, try SourceURL.parse(text))
        } catch {
            note(url, error)
            return nil
        }
    }

    private static let mostMirrors = 8

    private mutating func mirrors(
        _ setting: Setting?,
        of kind: SourceKind?,
        besides url: String
    ) -> [String] {
        guard let setting else { return [] }
        var mirrors: [String] = []
        for item in items(ofList: setting) {
            guard let text = text(item) else { continue }
            do throws(SettingProblem) {
                let mirror = try SourceURL.parse(text)
                if let kind, mirror.kind != kind {
                    throw SettingProblem("a mirror of another kind than 'url'", "both begin with \(kind.rawValue)")
                }
                if text == url || mirrors.contains(text) {
                    throw SettingProblem("this place stands here twice", "remove one of them")
                }
                mirrors.append(text)
            } catch { note(item, error) }
        }
        if mirrors.count > Self.mostMirrors {
            note(setting, SettingProblem("\(mirrors.count) mirrors", "at most \(Self.mostMirrors) are tried"))
        }
        return mirrors
    }

    private mutating func preference(_ setting: Setting?, hasMirrors: Bool) -> SourceConfiguration.Preference {
        guard let setting, let text = text(setting) else { return .order }
        guard let preference = SourceConfiguration.Preference(rawValue: text) else {
            note(
                setting,
                SettingProblem("\(shown(text)) is nothing to prefer a place for", "known are order and latency")
            )
            return .order
        }
        if !hasMirrors {
            note(setting.namePlace, setting.key, "has no effect without 'mirrors'", "remove it, or add them")
        }
        return preference
    }

    /// What would have no effect with this kind: whoever wrote it expects one.
    private mutating func noteMisplaced(_ members: [String: Setting], for kind: SourceKind) {
        for group in KindSettings.Group.allCases where !KindSettings.of(kind).groups.contains(group) {
            let kinds = SourceKind.allCases.filter { KindSettings.of($0).groups.contains(group) }
            for setting in group.names.compactMap({ members[$0] }) {
                let what = "has no effect with \(kind.rawValue)"
                let place = Self.list(kinds.map(\.rawValue))
                note(setting.namePlace, setting.key, what, "remove it: it is for \(place) only")
            }
        }
    }

    /// `http`, `http and https`, `http, https and etcd`.
    private static func list(_ words: [String]) -> String {
        guard words.count > 1, let last = words.last else { return words.first ?? "" }
        return "\(words.dropLast().joined(separator: ", ")) and \(last)"
    }

    /// What binds a source to a certificate binds nothing where there is none.
    private mutating func notePlain(_ tls: Setting?, _ source: SourceConfiguration) {
        let places = [source.url, source.endpoint ?? ""] + source.mirrors
        guard let tls, source.kind != .http, let plain = places.first(where: { $0.contains("http://") }) else {
            return
        }
        let what = "has no effect with \(shown(plain)), which is not HTTPS"
        note(tls.namePlace, tls.key, what, "remove it, or use HTTPS there")
    }

    /// Settings of which one makes nothing of the other.
    private mutating func noteContradictions(_ members: [String: Setting], _ source: SourceConfiguration) {
        if let auth = members["auth"], source.auth.token != nil || source.auth.user != nil,
            source.headers.contains(where: { $0.name.lowercased() == "authorization" })
        {
            let what = "beside a header 'Authorization', which says the same"
            note(auth.namePlace, auth.key, what, "give one of the two")
        }
        if let proxy = members["proxy"], let socket = members["unix_socket"] {
            note(proxy.namePlace, proxy.key, "beside \(shown(socket.name))", "a Unix socket is reached without one")
        }
        if let poll = members["poll"], source.poll.wait != nil, source.maxRedirects > 0 {
            note(
                poll.namePlace,
                poll.key,
                "'wait' beside 'max_redirects'",
                "no redirect is waited at: remove one of them"
            )
        }
    }

    /// What a source of this kind cannot do without.
    private mutating func noteMissing(
        _ members: [String: Setting],
        for kind: SourceKind,
        in source: Setting
    ) {
        guard KindSettings.of(kind).needsRegion, members["region"] == nil else { return }
        let key = DottedKey.join(source.path + ["region"])
        note(source.namePlace, key, "is missing", "name the region that requests are signed for, as in eu-central-1")
    }

    // MARK: Who the agent is

    private mutating func auth(_ setting: Setting?, of kind: SourceKind?) -> SourceConfiguration.Auth {
        var auth = SourceConfiguration.Auth()
        let known = kind.map { KindSettings.of($0).auth } ?? KindSettings.anyAuth
        let members = members(setting, known: known)
        func value(_ name: String) -> String? { members[name].flatMap { secret($0) } }
        auth.user = value("user")
        auth.password = value("password")
        auth.token = value("token")
        auth.accessKey = value("access_key")
        auth.secretKey = value("secret_key")
        auth.sessionToken = value("session_token")
        for (present, absent) in [
            ("user", "password"), ("password", "user"), ("access_key", "secret_key"), ("secret_key", "access_key"),
        ] {
            if let member = members[present], members[absent] == nil {
                note(member.namePlace, member.key, "\(shown(present)) without \(shown(absent))", "it needs both")
            }
        }
        if let token = members["token"], members["user"] != nil {
            note(token.namePlace, token.key, "both a token and a user", "give one of the two")
        }
        for (name, text) in [("user", auth.user), ("password", auth.password), ("token", auth.token)] {
            guard let text, let member = members[name] else { continue }
            do throws(SettingProblem) { try HeaderField.check(value: text) } catch {
                note(member.namePlace, member.key, error.what, error.advice)
            }
        }
        return auth
    }

    private mutating func region(_ setting: Setting?) -> String? {
        guard let setting, let text = text(setting) else { return nil }
        let isName =
            !text.isEmpty && text.utf8.count <= 64
            && text.utf8.allSatisfy { Character(Unicode.Scalar($0)).isLowercaseNameCharacter }
        if isName { return text }
        note(setting, SettingProblem("\(shown(text)) is not a region", "write it as in eu-central-1"))
        return nil
    }

    private mutating func endpoint(_ setting: Setting?) -> String? {
        setting.flatMap { server($0, example: "https://s3.example.com", login: KindSettings.of(.s3).login) }
    }

    /// A URL of scheme, host and port alone.
    private mutating func server(_ setting: Setting, example: String, login: String) -> String? {
        guard let text = text(setting) else { return nil }
        do throws(SettingProblem) {
            let url = try SourceURL.parse(text, login: login)
            guard [.http, .https].contains(url.kind), url.path == "/", !text.contains("?") else {
                throw SettingProblem(
                    "\(shown(text)) is not a server's address",
                    "write it as in \(example)"
                )
            }
            return text.hasSuffix("/") ? String(text.dropLast()) : text
        } catch {
            note(setting, error)
            return nil
        }
    }

    // MARK: The rest

    private mutating func format(_ setting: Setting?) -> DocumentFormat? {
        guard let setting, let text = text(setting) else { return nil }
        if let format = DocumentFormat(rawValue: text) { return format }
        note(setting, SettingProblem("\(shown(text)) is not a format", "known are json and yaml"))
        return nil
    }

    private mutating func headers(_ setting: Setting?) -> [HeaderField] {
        var fields: [HeaderField] = []
        for member in items(ofSection: setting) {
            guard let value = secret(member) else { continue }
            do throws(SettingProblem) {
                try HeaderField.check(name: member.name)
                try HeaderField.check(value: value)
                if fields.contains(where: { $0.name.lowercased() == member.name.lowercased() }) {
                    throw SettingProblem("the same header as one above it", "case makes no difference: remove one")
                }
                fields.append(HeaderField(name: member.name, value: value))
            } catch {
                note(member.namePlace, member.key, error.what, error.advice)
            }
        }
        return fields
    }

    private mutating func tls(_ setting: Setting?) -> SourceConfiguration.TLS {
        let members = members(setting, known: ["ca", "cert", "key", "pin"])
        for (present, absent) in [("cert", "key"), ("key", "cert")] {
            if let member = members[present], members[absent] == nil {
                let what = "\(shown(present)) without \(shown(absent))"
                note(member.namePlace, member.key, what, "a client certificate needs both")
            }
        }
        var tls = SourceConfiguration.TLS(
            ca: pem(members["ca"]),
            certificate: pem(members["cert"]),
            key: pem(members["key"])
        )
        tls.pins = pins(members["pin"])
        return tls
    }

    /// Public keys: one, or a list of them.
    private mutating func pins(_ setting: Setting?) -> [String] {
        guard let setting else { return [] }
        var pins: [String] = []
        for item in setting.isList ? items(ofList: setting) : [setting] {
            guard let text = text(item) else { continue }
            let digest = text.dropFirst("sha256//".count)
            let isDigest =
                text.hasPrefix("sha256//") && digest.utf8.count == 44 && digest.hasSuffix("=")
                && digest.dropLast().utf8.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                        true
                    default: false
                    }
                }
            if isDigest {
                pins.append(text)
            } else {
                let advice =
                    "write 'sha256//' and the SHA-256 of the public key in base64; agent.yaml(5) says how to get it"
                note(item, SettingProblem("\(shown(text)) is not a public key's digest", advice))
            }
        }
        return pins
    }

    private mutating func proxy(_ setting: Setting?) -> SourceConfiguration.Proxy? {
        guard let setting else { return nil }
        let members =
            setting.isSection ? members(setting, known: ["url", "user", "password"]) : ["url": setting]
        guard let url = members["url"] else {
            note(setting.namePlace, setting.key, "needs 'url'", "as in 'url: http://proxy.example.com:3128'")
            return nil
        }
        let login = "proxy: {url: …, user: …, password: …}"
        guard let text = server(url, example: "http://proxy.example.com:3128", login: login) else { return nil }
        var proxy = SourceConfiguration.Proxy(url: text)
        proxy.user = members["user"].flatMap { secret($0) }
        proxy.password = members["password"].flatMap { secret($0) }
        for (present, absent) in [("user", "password"), ("password", "user")] {
            if let member = members[present], members[absent] == nil {
                note(member.namePlace, member.key, "\(shown(present)) without \(shown(absent))", "it needs both")
            }
        }
        return proxy
    }

    private mutating func poll(
        _ setting: Setting?,
        default value: SourceConfiguration.Poll
    ) -> SourceConfiguration.Poll {
        guard let setting else { return value }
        let range = SourceConfiguration.Poll.shortest...TimeSpan.days(30)
        guard setting.isSection else {
            return SourceConfiguration.Poll(around: readSpan(setting, default: .seconds(30), in: range))
        }
        let members = members(setting, known: ["min", "max", "wait"])
        guard (members["min"] == nil) == (members["max"] == nil), !members.isEmpty else {
            note(setting.namePlace, setting.key, "needs both 'min' and 'max'", "or write one length of time")
            return value
        }
        var poll =
            members["min"] == nil ? value : bounds(setting, members["min"], members["max"], default: value, in: range)
        poll.wait = members["wait"].map { readSpan($0, default: .seconds(30), in: .seconds(1)...(.minutes(10))) }
        return poll
    }

    private mutating func bounds(
        _ setting: Setting,
        _ low: Setting?,
        _ high: Setting?,
        default value: SourceConfiguration.Poll,
        in range: ClosedRange<TimeSpan>
    ) -> SourceConfiguration.Poll {
        // A wrong bound is noted already: the widest one leaves the other in peace.
        let min = readSpan(low, default: range.lowerBound, in: range)
        let max = readSpan(high, default: range.upperBound, in: range)
        guard min <= max else {
            note(setting.namePlace, setting.key, "'min' (\(min)) is longer than 'max' (\(max))", "swap them")
            return value
        }
        return SourceConfiguration.Poll(min: min, max: max)
    }

    /// For a source that is loaded on demand.
    private mutating func idle(_ members: [String: Setting]) -> TimeSpan? {
        let load = members["load"]
        let way = load.flatMap { text($0) }
        if let load, let way, !["always", "on_demand"].contains(way) {
            note(load, SettingProblem("\(shown(way)) is no way to load a source", "known are always and on_demand"))
            return nil
        }
        guard way == "on_demand" else {
            if let idle = members["idle"], load == nil || way != nil {
                let what = "has no effect with a source that is always loaded"
                note(idle.namePlace, idle.key, what, "remove it, or write 'load: on_demand'")
            }
            return nil
        }
        if let required = members["required"] {
            let what = "has no effect with 'load: on_demand'"
            note(required.namePlace, required.key, what, "remove it: nobody waits for what nobody has asked for")
        }
        return readSpan(members["idle"], default: .minutes(10), in: .seconds(1)...(.days(30)))
    }

    /// A layer is part of what everybody reads, so only a document that stands by itself can be some group's alone.
    private mutating func readers(_ setting: Setting?, isOnDemand: Bool) -> String? {
        guard let setting, let group = text(setting) else { return nil }
        let isName =
            !group.isEmpty && group.utf8.count <= 32
            && group.utf8.allSatisfy { Character(Unicode.Scalar($0)).isGroupNameCharacter } && !group.hasPrefix("-")
        guard isName else {
            note(setting, SettingProblem("\(shown(group)) is not a group's name", "see /etc/group"))
            return nil
        }
        if !isOnDemand {
            let what = "has no effect with a layer, which is part of what everybody reads"
            note(setting.namePlace, setting.key, what, "write 'load: on_demand', and have it read by itself")
        }
        return group
    }

    private mutating func readRetry(_ setting: Setting?, into retry: inout SourceConfiguration.Retry) {
        let members = members(setting, known: ["base", "max"])
        let range = TimeSpan.milliseconds(10)...TimeSpan.days(1)
        retry.base = readSpan(members["base"], default: retry.base, in: range)
        retry.max = readSpan(members["max"], default: retry.max, in: range)
        if let setting, retry.base > retry.max {
            let what = "'base' (\(retry.base)) is longer than 'max' (\(retry.max))"
            note(setting.namePlace, setting.key, what, "make 'base' shorter or 'max' longer")
        }
    }

}

extension Character {
    fileprivate var isGroupNameCharacter: Bool {
        self == "-" || self == "_" || ("a"..."z").contains(self) || ("A"..."Z").contains(self)
            || ("0"..."9").contains(self)
    }

    fileprivate var isLowercaseNameCharacter: Bool {
        self == "-" || ("a"..."z").contains(self) || ("0"..."9").contains(self)
    }
}
