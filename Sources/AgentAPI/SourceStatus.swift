/// How fresh what a source gave is.
public enum SourceState: String, Codable, Sendable, Hashable, CaseIterable {
    /// Nothing was received from it yet.
    case starting
    /// Confirmed within the expected time.
    case fresh
    /// Not confirmed for longer than expected.
    case stale
    /// Served from a copy kept from earlier.
    case lastGood = "last_good"
    /// Its last attempts failed.
    case failing
    /// What is in use is out of date by its own word, and nothing newer has come.
    case expired
    /// Nobody asks it, because somebody has frozen the sources.
    case frozen
    /// Loaded on demand, and nobody has read it lately: none of it is in use, and it is not asked.
    case asleep
}

/// How one source is doing.
public struct SourceStatus: Codable, Sendable, Hashable {
    /// How fresh what it gave is.
    public var state: SourceState
    /// Whether the agent is ready only once it was there.
    public var required: Bool
    /// Where it is, without a user, a password and the values of a query.
    public var url: String
    /// The revision in use: its ETag, or the start of its digest.
    public var revision: String?
    /// The SHA-256 of the document in use, in hexadecimal.
    public var digest: String?
    /// When it was last asked.
    public var lastRequest: WireTime?
    /// When it last confirmed or changed what is in use.
    public var lastSuccess: WireTime?
    /// When a document from it last became visible to readers.
    public var lastActivation: WireTime?
    /// The latest error; requests may have succeeded since, see consecutive_failures.
    public var lastError: SourceError?
    /// When it will be asked next.
    public var nextPoll: WireTime?
    /// How many requests have failed since the last success.
    public var consecutiveFailures: Int
    /// Where it is asked, of its several places; absent when it has one.
    public var place: PlaceStatus?
    /// How long the document in use took from stage to stage.
    public var trace: StageTimes?
    /// What the source has offered last, whether it was accepted or not; absent where it has offered nothing since the start.
    public var desired: RevisionInfo?
    /// What was last tried to bring into use, and what came of it.
    public var attempted: RevisionInfo?
    /// From when on what is in use is out of date by its own word; absent where it does not say.
    public var expires: WireTime?

    enum CodingKeys: String, CodingKey {
        case state
        case required
        case url
        case revision
        case digest
        case lastRequest = "last_request"
        case lastSuccess = "last_success"
        case lastActivation = "last_activation"
        case lastError = "last_error"
        case nextPoll = "next_poll"
        case consecutiveFailures = "consecutive_failures"
        case place
        case trace
        case desired
        case attempted
        case expires
    }

    public init(
        state: SourceState,
        required: Bool,
        url: String,
        revision: String? = nil,
        digest: String? = nil,
        lastRequest: WireTime? = nil,
        lastSuccess: WireTime? = nil,
        lastActivation: WireTime? = nil,
        lastError: SourceError? = nil,
        nextPoll: WireTime? = nil,
        consecutiveFailures: Int,
        place: PlaceStatus? = nil,
        trace: StageTimes? = nil,
        desired: RevisionInfo? = nil,
        attempted: RevisionInfo? = nil,
        expires: WireTime? = nil
    ) {
        self.desired = desired
        self.attempted = attempted
        self.expires = expires
        self.state = state
        self.required = required
        self.url = url
        self.revision = revision
        self.digest = digest
        self.lastRequest = lastRequest
        self.lastSuccess = lastSuccess
        self.lastActivation = lastActivation
        self.lastError = lastError
        self.nextPoll = nextPoll
        self.consecutiveFailures = consecutiveFailures
        self.place = place
        self.trace = trace
    }
}

/// One version of a source's document.
public struct RevisionInfo: Codable, Sendable, Hashable {
    /// As people see it.
    public var revision: String
    /// The SHA-256 of its bytes, in hexadecimal.
    public var digest: String
    /// When it came, or was tried.
    public var at: WireTime
    /// Why it was refused; absent where it was not.
    public var error: SourceError?

    enum CodingKeys: String, CodingKey {
        case revision
        case digest
        case at
        case error
    }

    public init(revision: String, digest: String, at: WireTime, error: SourceError? = nil) {
        self.revision = revision
        self.digest = digest
        self.at = at
        self.error = error
    }
}

/// Which of a source's places is asked.
public struct PlaceStatus: Codable, Sendable, Hashable {
    /// Its URL, without secrets.
    public var url: String
    /// Counted from 0: its place in the list.
    public var index: Int
    /// How many places there are.
    public var count: Int
    /// How often the source has moved from one to another.
    public var moves: UInt64
    /// How many documents another place has given under the revision of the one in use: one of the two is wrong.
    public var disagreements: UInt64

    public init(url: String, index: Int, count: Int, moves: UInt64, disagreements: UInt64 = 0) {
        self.url = url
        self.index = index
        self.count = count
        self.moves = moves
        self.disagreements = disagreements
    }
}
