/// Which of a source's places is asked: the first while it does well, the next when it does not. Or, where that is
/// preferred, the one that answers soonest.
///
/// Pure arithmetic. A place is left after a few bad answers in a row, fewer when they are failures than when they are only
/// slow; from the first bad one on it is asked each second, and when its time is over it is left after fewer: the whole
/// move is a matter of seconds, whatever the answers were. Once each place has been tried in vain, they go on taking
/// turns, but at the pace of retries; and where all are slow, the one that answers stays, while the others are looked at.
/// The way back needs more: several good answers in a row to probes of the first place, seconds apart. So does the way to
/// a place that answers sooner: it has to be clearly quicker, and several times in a row.
struct Failover {
    enum Preference {
        case order, latency
    }

    enum Verdict {
        case good, slow, failed
        /// It failed, and will not answer if it is asked again soon.
        case unavailable

        var isAnswer: Bool { self == .good || self == .slow }
    }

    struct Move: Equatable {
        let from: Int
        let to: Int
        /// To a place that is preferred, and not away from one that does badly.
        let isReturn: Bool
    }

    /// Bad answers in a row after which a place is left.
    static let patience = (slow: 3, failed: 2)
    /// The time between two requests to a place that is suspect.
    static let probing: UInt64 = 1_000_000_000
    /// The time between two probes of a place that may be moved to, and how many have to be good in a row.
    static let returning = (every: UInt64(5_000_000_000), good: 3)
    /// The time between two probes of places that are known, and known not to be quicker.
    static let comparing: UInt64 = 30_000_000_000
    /// How much sooner a place has to answer to be preferred: by a fourth, and by this.
    static let leastGain: UInt64 = 2_000_000
    /// From the beginning of the first request that was answered badly until another place is asked.
    static let longestMove: UInt64 = 8_000_000_000

    let places: Int
    let preference: Preference
    /// A place that begins to answer later is slow. Nanoseconds.
    let maxLatency: UInt64
    private(set) var active = 0
    private var slow = 0
    private var failed = 0
    /// When the request began that was the first to be answered badly.
    private var badSince: UInt64?
    /// Good probes in a row, of each place.
    private var goodProbes: [Int]
    /// How long each place takes to begin to answer, smoothed; `nil` while that is not known. Nanoseconds.
    private var latencies: [UInt64?]
    /// Places whose last probe brought nothing that could be used.
    private var unfit: Set<Int> = []
    private var lastProbed = 0
    /// Places left since one was good.
    private var triedInVain: Set<Int> = []
    /// Until when each place wants to be left alone: by the monotonic clock, in nanoseconds.
    private var rests: [UInt64]

    init(places: Int, preference: Preference = .order, maxLatency: UInt64 = 200_000_000) {
        self.places = places
        self.preference = preference
        self.maxLatency = maxLatency
        goodProbes = Array(repeating: 0, count: places)
        latencies = Array(repeating: nil, count: places)
        rests = Array(repeating: 0, count: places)
    }

    /// `place` has asked to be left alone: until then it is neither moved to nor looked at.
    mutating func rest(_ place: Int, until time: UInt64) { rests[place] = max(rests[place], time) }

    /// Until when the place that is asked wants to be left alone; zero for one that does not.
    var activeRests: UInt64 { rests[active] }

    /// Goes on from what is known of the same places: who wants to be left alone, is.
    mutating func goOn(from before: Failover, at now: UInt64) {
        rests = before.rests
        if rests[active] > now { active = (0..<places).first { rests[$0] <= now } ?? active }
    }

    /// Whether each place has been tried since one was good.
    var isExhausted: Bool { triedInVain.count >= places }

    /// Whether the place that is asked has answered badly, and another one may do better.
    var isSuspect: Bool { places > 1 && (slow > 0 || failed > 0) && !isExhausted }

    /// A place that has not begun to answer after this time has failed: some seconds where a quick answer takes a moment,
    /// and never more than a move may take, but for who calls that quick.
    var longestSilence: UInt64 {
        let (doubled, overflow) = maxLatency.multipliedReportingOverflow(by: 2)
        return max(maxLatency, min(max(2_000_000_000, overflow ? .max : doubled), Self.longestMove - Self.probing))
    }

    /// When another place is to be asked at the latest, if this one has not answered well; `nil` for one that does.
    var moveBy: UInt64? { isSuspect ? badSince.map { $0 + Self.longestMove } : nil }

    /// Whether a place that answers badly has no time for another answer that would be a quick one. (One that has failed
    /// may fail as soon again.)
    private func isTimeOver(_ verdict: Verdict, at now: UInt64) -> Bool {
        guard let badSince, !isExhausted else { return false }
        return now + Self.probing + (verdict == .slow ? maxLatency : 0) >= badSince + Self.longestMove
    }

    /// How the place that is asked has answered, and after which time.
    ///
    /// - Parameter begun: when the request began that was answered so; now by default.
    mutating func note(
        _ verdict: Verdict,
        latency: UInt64? = nil,
        at now: UInt64 = 0,
        begun: UInt64? = nil
    ) -> Move? {
        measure(active, latency)
        if verdict != .good, badSince == nil { badSince = begun ?? now }
        switch verdict {
        case .good:
            (slow, failed) = (0, 0)
            badSince = nil
            triedInVain = []
        case .slow: (slow, failed) = (slow + 1, 0)
        case .failed: failed += 1
        case .unavailable: failed = max(failed + 1, Self.patience.failed)
        }
        // When all have been tried, one that is only slow is the best there is.
        let isTooSlow = slow >= Self.patience.slow && !isExhausted
        guard places > 1, isTooSlow || failed >= Self.patience.failed || isTimeOver(verdict, at: now) else {
            return nil
        }
        return leave(at: now)
    }

    private mutating func leave(at now: UInt64) -> Move? {
        triedInVain.insert(active)
        if preference == .latency, isExhausted, failed == 0 {
            // All are slow: then the one that is least so.
            let best = (0..<places).filter { $0 == active || rests[$0] <= now }.min { rank($0) < rank($1) }
            guard let best, best != active else {
                slow = 0
                return nil
            }
            return move(to: best, isReturn: false)
        }
        if let next = nextBest(at: now) { return move(to: next, isReturn: false) }
        // All others rest. Whoever may be asked first is, also if that is this one; at the pace of retries.
        triedInVain = Set(0..<places)
        let first = (0..<places).min { max(rests[$0], now) < max(rests[$1], now) } ?? active
        return rests[first] < rests[active] && rests[active] > now ? move(to: first, isReturn: false) : nil
    }

    /// The place to go to when the one that is asked does badly; `nil` when all others want to be left alone.
    private func nextBest(at now: UInt64) -> Int? {
        let inTurn = (1..<places).map { (active + $0) % places }.filter { rests[$0] <= now }
        guard preference == .latency else { return inTurn.first }
        let untried = inTurn.filter { !triedInVain.contains($0) }
        return untried.min { rank($0) < rank($1) } ?? inTurn.first
    }

    private func rank(_ place: Int) -> UInt64 { unfit.contains(place) ? .max : latencies[place] ?? .max - 1 }

    // MARK: Probes

    /// Whether other places are looked at while one is asked.
    var hasProbes: Bool { places > 1 && (looksAtAll || active != 0) }

    /// Whether any place may be moved to when it does well, and not only the first.
    private var looksAtAll: Bool { preference == .latency || isExhausted }

    /// The place that is looked at next; `nil` for none, or while all that could be want to be left alone.
    mutating func nextProbe(at now: UInt64 = 0) -> Int? {
        guard hasProbes else { return nil }
        guard looksAtAll else { return rests[0] <= now ? 0 : nil }
        for _ in 0..<places {
            lastProbed = (lastProbed + 1) % places
            if lastProbed != active, rests[lastProbed] <= now { return lastProbed }
        }
        return nil
    }

    /// Before then there is nothing to be looked at.
    var firstProbeAt: UInt64 {
        guard looksAtAll else { return rests[0] }
        return (0..<places).lazy.filter { $0 != active }.map { rests[$0] }.min() ?? 0
    }

    /// The time until then. A place that is only looked at is asked no more often than the one that is in use.
    func probeInterval(poll: UInt64 = 0) -> UInt64 {
        let isKnown = (0..<places).allSatisfy { latencies[$0] != nil || unfit.contains($0) }
        let isSettled = looksAtAll && isKnown && goodProbes.allSatisfy { $0 == 0 }
        return isSettled ? max(Self.comparing, poll) : Self.returning.every
    }

    /// How a place has answered a probe while another one is asked, and after which time.
    mutating func noteProbe(_ verdict: Verdict, of place: Int = 0, latency: UInt64? = nil) -> Move? {
        measure(place, latency)
        let isGood = verdict == .good || (verdict == .slow && preference == .latency && isExhausted)
        guard place != active, isGood, preference == .order || isQuicker(place) else {
            goodProbes[place] = 0
            if !verdict.isAnswer { unfit.insert(place) }
            return nil
        }
        goodProbes[place] += 1
        return goodProbes[place] >= Self.returning.good ? move(to: place, isReturn: true) : nil
    }

    private func isQuicker(_ place: Int) -> Bool {
        guard let its = latencies[place], let mine = latencies[active] else { return false }
        return its + max(its / 4, Self.leastGain) < mine
    }

    private mutating func measure(_ place: Int, _ latency: UInt64?) {
        guard let latency else { return }
        unfit.remove(place)
        latencies[place] = latencies[place].map { $0 - $0 / 4 + latency / 4 } ?? latency
    }

    private mutating func move(to next: Int, isReturn: Bool) -> Move {
        defer { active = next }
        (slow, failed) = (0, 0)
        badSince = nil
        goodProbes = Array(repeating: 0, count: places)
        if isReturn { triedInVain = [] }
        return Move(from: active, to: next, isReturn: isReturn)
    }
}
