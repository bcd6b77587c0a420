/// How a host is treated that does not answer: after some failures in a row, whichever sources they were of, it is asked
/// once in a while until it answers, and then by few at once, then by more. So a thousand sources neither knock at a dead
/// host's door a thousandfold, nor fall upon one that has just come back.
///
/// Pure arithmetic over the monotonic clock in nanoseconds.
struct HostManners {
    enum Change: Equatable {
        /// From now on it is asked once in a while.
        case closedOff
        /// It answers again.
        case recovered
    }

    /// Failures in a row that make a host suspect.
    static let patience = 5
    /// The time between two requests to a suspect host: twice as long after each.
    static let pauses = (shortest: UInt64(1_000_000_000), longest: UInt64(10_000_000_000))
    /// Retries that may set out together, and the time between two beyond these.
    static let retries = (atOnce: UInt64(20), every: UInt64(100_000_000))

    private(set) var failuresInARow = 0
    /// What the last failure was, in words.
    private(set) var lastFailure = ""
    private var pause = HostManners.pauses.shortest
    /// When a suspect host is asked next; `nil` for one that is not suspect.
    private var nextProbeAt: UInt64?
    /// Whether the answer to the last such request is still to come.
    private var isProbing = false
    /// How many may be under way at once after a recovery; grows with each answer.
    private(set) var room: Int?
    /// When all retries that were granted would have left, one after the other.
    private var retriesUntil: UInt64 = 0

    var isSuspect: Bool { nextProbeAt != nil }

    /// Whether a request may leave now. One to a suspect host is a probe, and the next has to wait.
    mutating func mayAsk(at now: UInt64) -> Bool {
        guard let due = nextProbeAt else { return true }
        guard now >= due else { return false }
        nextProbeAt = now + pause
        isProbing = true
        return true
    }

    mutating func noteAnswer(roomAtMost most: Int) -> Change? {
        failuresInARow = 0
        isProbing = false
        pause = Self.pauses.shortest
        if nextProbeAt != nil {
            nextProbeAt = nil
            room = 2
            // Whoever waited is asked soon; those retries will never leave.
            retriesUntil = 0
            return .recovered
        }
        if let small = room { room = small >= most ? nil : small + 1 }
        return nil
    }

    mutating func noteFailure(_ words: String, at now: UInt64) -> Change? {
        failuresInARow += 1
        lastFailure = words
        guard failuresInARow >= Self.patience else { return nil }
        room = 1
        let wasSuspect = isSuspect
        // What was under way when it became suspect says nothing new.
        guard !wasSuspect || isProbing else { return nil }
        if wasSuspect { pause = min(pause * 2, Self.pauses.longest) }
        isProbing = false
        nextProbeAt = now + pause
        return wasSuspect ? nil : .closedOff
    }

    /// Takes one of the retries that the host is to bear.
    ///
    /// - Parameter longest: what the one who asks waits at most, and so what is booked ahead at most.
    /// - Returns: how long it has to wait for that.
    mutating func takeRetry(at now: UInt64, longest: UInt64) -> UInt64 {
        let allowance = Self.retries.atOnce * Self.retries.every
        retriesUntil = max(retriesUntil, now) + Self.retries.every
        retriesUntil = min(retriesUntil, now + allowance + longest)
        let ahead = retriesUntil - now
        return ahead > allowance ? ahead - allowance : 0
    }
}
