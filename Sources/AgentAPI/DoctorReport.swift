/// What `agentctl doctor` found: each check with its result, in the order in which they were made.
public struct DoctorReport: Codable, Sendable, Hashable {
    /// The version of this report's form.
    public var apiVersion: String
    /// The worst result of all checks; `ok` when there are none.
    public var result: CheckResult
    /// How many checks came to each result.
    public var counts: CheckCounts
    /// Every check that was made, or could not be.
    public var checks: [Check]

    enum CodingKeys: String, CodingKey {
        case apiVersion = "api_version"
        case result
        case counts
        case checks
    }

    /// Sums up `checks`.
    public init(checks: [Check]) {
        func count(_ result: CheckResult) -> Int { checks.filter { $0.result == result }.count }
        self.apiVersion = Version.api
        self.counts = CheckCounts(ok: count(.ok), warn: count(.warn), fail: count(.fail), skip: count(.skip))
        self.result = counts.fail > 0 ? .fail : counts.warn > 0 ? .warn : .ok
        self.checks = checks
    }
}

/// What one check came to.
public enum CheckResult: String, Codable, Sendable, Hashable, CaseIterable {
    /// As it should be.
    case ok
    /// It works, but somebody should look at it.
    case warn
    /// It does not work, or lets somebody do what they must not.
    case fail
    /// It could not be looked at, or does not apply here.
    case skip
}

/// How many checks came to each result.
public struct CheckCounts: Codable, Sendable, Hashable {
    public var ok: Int
    public var warn: Int
    public var fail: Int
    public var skip: Int

    enum CodingKeys: String, CodingKey {
        case ok
        case warn
        case fail
        case skip
    }

    public init(ok: Int, warn: Int, fail: Int, skip: Int) {
        self.ok = ok
        self.warn = warn
        self.fail = fail
        self.skip = skip
    }
}

/// One thing that was looked at.
public struct Check: Codable, Sendable, Hashable {
    /// A stable name for this check: its family and what it looks at, as in `socket.mode`.
    public var id: String
    /// Which file, socket, unit or source was looked at, where there can be several.
    public var subject: String?
    /// What it came to.
    public var result: CheckResult
    /// What was found, for people.
    public var found: String
    /// What to do about it; absent where nothing has to be done.
    public var advice: String?

    enum CodingKeys: String, CodingKey {
        case id
        case subject
        case result
        case found
        case advice
    }

    public init(_ id: String, _ subject: String? = nil, _ result: CheckResult, _ found: String, advice: String? = nil) {
        self.id = id
        self.subject = subject
        self.result = result
        self.found = found
        self.advice = advice
    }
}
