internal import LockLadder

/// What to try against a wait, chosen from its facts: one sentence in the record, the long form in the catalog.
enum ContentionAdvice: Sendable, Hashable, CaseIterable {
    /// The lock was free for most of the wait, and the woken thread did not get to run.
    case cpu
    /// The caller shared another one's request.
    case sharedFlight
    /// The caller was there before the first use was over.
    case firstUse
    /// A reader waited until a writer was done.
    case behindWriter
    /// A writer waited until those inside were done.
    case behindReaders
    /// Many threads wanted the lock, each for a moment.
    case crowd
    /// The lock changed hands during the wait.
    case overtaken
    /// One hold was most of the wait.
    case longHold
    /// It is being waited for, and nothing moves.
    case stillHeld

    /// Of a wait, over or not.
    struct Facts {
        var kind: LockKind
        /// `nil` where it is not known.
        var mode: LockMode?
        /// The part of the wait during which the lock was held.
        var holdNanoseconds: UInt64
        /// The rest: from the release until the thread ran.
        var wakeNanoseconds: UInt64
        /// How often others took the lock during the wait.
        var takenMeanwhile: UInt64 = 0
        /// Threads that waited, this one included.
        var waiters: UInt32
        var isOver = true
    }

    /// From so many waiters on it is a crowd, if the wait makes less than ``briefHold`` for each.
    static let crowdSize: UInt32 = 4
    static let briefHold: UInt64 = 1_000_000

    /// The first that fits, the likeliest cause before the others: a host without CPU time makes every other look guilty.
    static func choose(_ facts: Facts) -> ContentionAdvice {
        if facts.kind == .flight { return .sharedFlight }
        if facts.kind == .once { return .firstUse }
        if !facts.isOver { return .stillHeld }
        if facts.wakeNanoseconds > facts.holdNanoseconds { return .cpu }
        if facts.kind == .rwlock { return facts.mode == .shared ? .behindWriter : .behindReaders }
        let isCrowd =
            facts.waiters >= crowdSize && facts.holdNanoseconds / UInt64(max(1, facts.waiters)) < briefHold
        if isCrowd { return .crowd }
        return facts.takenMeanwhile > 0 ? .overtaken : .longHold
    }

    /// - Parameter holder: who held the lock, as far as known.
    func sentence(holder: CallSite) -> String {
        let place = holder == .none ? "the holder" : "\(holder)"
        return switch self {
        case .cpu:
            "Most of the wait came after the release, so the host is short of CPU: look at /proc/pressure/cpu and give "
                + "the agent more with CPUWeight=."
        case .sharedFlight:
            "The wait was for a request that others wait for as well: see with agentctl sources which one is slow."
        case .firstUse: "The first use was not over yet: if it comes again, look at what \(place) makes there."
        case .behindWriter: "A reader waited for a writer: look at what \(place) does while it writes, and how often."
        case .behindReaders:
            "A writer waited for those inside: look at what \(place) does while it holds the lock."
        case .crowd:
            "Many threads want this lock for a moment each: no setting helps, send agentctl support-bundle to the "
                + "maintainers."
        case .overtaken:
            "Others took the lock while this thread waited: if few did, look at what \(place) and they do while they hold "
                + "it; if many did, this thread was kept from running, so look at /proc/pressure/cpu."
        case .longHold: "One hold took most of the wait: look at what \(place) does while it holds the lock."
        case .stillHeld:
            "See with gdb or top -H what the thread at \(place) is doing, and restart the agent if nothing moves."
        }
    }
}
