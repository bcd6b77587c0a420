internal import ConfigSnapshot

/// The settings of one source.
extension SettingsReader {
    private static let known = [
        "url", "unix_socket", "format", "headers", "max_redirects", "allow_link_local", "timeout", "connect_timeout",
        "tls", "poll", "retry", "guard", "required",
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
            scheme: location?.url.scheme ?? .https,
            path: location?.url.path ?? "/"
        )
        source.format = format(members["format"])
        source.headers = headers(members["headers"])
        source.unixSocket = path(members["unix_socket"], maxBytes: 107)
        source.maxRedirects = readInteger(members["max_redirects"], default: source.maxRedirects, in: 0...10)
        source.allowLinkLocal = readBool(members["allow_link_local"], default: source.allowLinkLocal)
        let times = TimeSpan.milliseconds(10)...TimeSpan.hours(1)
        source.timeout = readSpan(members["timeout"], default: source.timeout, in: times)
        source.connectTimeout = readSpan(members["connect_timeout"], default: source.connectTimeout, in: times)
        source.tls = tls(members["tls"])
        source.poll = poll(members["poll"], default: source.poll)
        readRetry(members["retry"], into: &source.retry)
        readLimits(members["guard"], into: &source.limits)
        source.required = readBool(members["required"], default: source.required)
        if let location { noteMisplaced(members, for: location.url.scheme) }
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

    /// What would have no effect with this scheme: whoever wrote it expects one.
    private mutating func noteMisplaced(_ members: [String: Setting], for scheme: SourceConfiguration.Scheme) {
        let https = ["tls"]
        let network = ["headers", "max_redirects", "allow_link_local", "connect_timeout"]
        let misplaced: [(names: [String], where: String)] =
            switch scheme {
            case .https: [(["unix_socket"], "http")]
            case .http: [(https, "https")]
            case .file: [(["unix_socket"], "http"), (https, "https"), (network, "http and https")]
            }
        for (names, place) in misplaced {
            for setting in names.compactMap({ members[$0] }) {
                let what = "has no effect with \(scheme.rawValue)"
                note(setting.namePlace, setting.key, what, "remove it: it is for \(place) only")
            }
        }
    }

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
        let members = members(setting, known: ["ca", "cert", "key"])
        for (present, absent) in [("cert", "key"), ("key", "cert")] {
            if let member = members[present], members[absent] == nil {
                let what = "\(shown(present)) without \(shown(absent))"
                note(member.namePlace, member.key, what, "a client certificate needs both")
            }
        }
        return SourceConfiguration.TLS(
            ca: secretPath(members["ca"]),
            certificate: secretPath(members["cert"]),
            key: secretPath(members["key"])
        )
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
        let members = members(setting, known: ["min", "max"])
        guard members["min"] != nil, members["max"] != nil else {
            note(setting.namePlace, setting.key, "needs both 'min' and 'max'", "or write one length of time")
            return value
        }
        return bounds(setting, members["min"], members["max"], default: value, in: range)
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

    private mutating func readLimits(_ setting: Setting?, into limits: inout SourceConfiguration.Limits) {
        let members = members(setting, known: ["max_bytes", "max_depth", "max_keys"])
        limits.maxBytes = readSize(members["max_bytes"], default: limits.maxBytes, in: 1...(1 << 30))
        limits.maxDepth = readInteger(members["max_depth"], default: limits.maxDepth, in: 1...512)
        limits.maxKeys = readInteger(members["max_keys"], default: limits.maxKeys, in: 1...10_000_000)
    }
}
