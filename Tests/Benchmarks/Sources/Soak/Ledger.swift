import BenchKit
import Foundation

/// What has been offered, seen and commanded: all that is read is held against it.
final class Ledger: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: the state is touched under `lock`.
    enum Mode {
        /// What the sources say comes into use.
        case following
        /// An operator has it stay as it is.
        case held
        /// A command is on its way: nobody knows yet.
        case changing
    }

    /// What was known when a request left.
    struct Ticket {
        let begun: UInt64
        let isUp: Bool
        let life: Int
        let phase: Int
        let mode: Mode
        let isFrozen: Bool
        let floors: [String: Int]
        let highest: UInt64
        let highestLife: Int
    }

    struct Fault {
        let since: UInt64
        /// Whether the source has to be failing for it.
        let isFailure: Bool
    }

    /// Seconds that a change may take to arrive once nothing is in its way: pauses for a host that was down take ten.
    static let patience = 25.0

    struct State {
        var isUp = false
        var life = 0
        var phase = 0
        var mode = Mode.following
        var isFrozen = false
        var upSince: UInt64 = 0
        var modeSince: UInt64 = 0
        /// Since when every source is asked under its present settings.
        var askedSince: UInt64 = 0
        var floors: [String: Int] = [:]
        var floorSince: [String: UInt64] = [:]
        var newestSeen: [String: Int] = [:]
        var heldContent: [String: Int]?
        var highest: UInt64 = 0
        var highestLife = 0
        var durable: UInt64 = 0
        var contents: [(generation: UInt64, numbers: [String: Int])] = []
        var offers: [String: [(number: Int, at: UInt64)]] = [:]
        var newestOffer: [String: Int] = [:]
        var faults: [String: Fault] = [:]
        var wellSince: [String: UInt64] = [:]
        var latencies: [String: [Double]] = [:]
        var accepted: Set<Int> = []
        var late: Set<String> = []
        /// What has to have survived the last kill, until somebody has looked.
        var survivors: [String: Int]?
        /// Which of its places the source with a mirror is asked at.
        var place = 0
    }

    let layers: [String]
    let promises: Promises
    let stalls: StallWatch
    private let lock = NSLock()
    private var state = State()

    init(layers: [String], promises: Promises, stalls: StallWatch) {
        self.layers = layers
        self.promises = promises
        self.stalls = stalls
    }

    func look<Value>(_ body: (State) -> Value) -> Value { lock.withLock { body(state) } }
    func change<Value>(_ body: (inout State) -> Value) -> Value { lock.withLock { body(&state) } }

    var isUp: Bool { look(\.isUp) }

    // MARK: Reads

    func begin() -> Ticket {
        look { state in
            Ticket(
                begun: Figures.now,
                isUp: state.isUp,
                life: state.life,
                phase: state.phase,
                mode: state.mode,
                isFrozen: state.isFrozen,
                floors: state.floors,
                highest: state.highest,
                highestLife: state.highestLife
            )
        }
    }

    /// Whether the agent was there all the time since.
    func wasUp(since ticket: Ticket) -> Bool { look { ticket.isUp && $0.isUp && $0.life == ticket.life } }

    /// A read that came to nothing.
    func failed(_ ticket: Ticket, _ what: String) {
        guard wasUp(since: ticket) else { return }
        promises.check(.lastGoodServed, false, what)
    }

    /// How long an answer took.
    func timed(_ ticket: Ticket, limit: Double = 1, _ what: String) {
        let now = Figures.now
        let seconds = Double(now - ticket.begun) / 1e9
        guard seconds > limit else { return promises.check(.readInTime, true, "") }
        // The watch for stalls may itself have been stalled until now.
        usleep(50_000)
        let machine = Double(stalls.stalled(ticket.begun, now)) / 1e9
        if machine > 0.3 * seconds { return promises.excuse("slow reads while the machine stood still") }
        if wasUp(since: ticket) { promises.check(.readInTime, false, "\(what) took \(seconds) s") }
    }

    /// A whole configuration was read.
    func read(_ ticket: Ticket, generation: UInt64, _ seen: [Document.Seen], by reader: String) {
        promises.check(.lastGoodServed, Set(layers).isSubset(of: seen.map(\.source)), "\(reader): only \(seen)")
        checkGeneration(ticket, generation, reader)
        checkMarks(seen, reader)
        let numbers = Dictionary(seen.map { ($0.source, $0.number) }) { first, _ in first }
        change { note(ticket, generation, numbers, in: &$0, reader) }
    }

    func checkGeneration(_ ticket: Ticket, _ generation: UInt64, _ reader: String) {
        guard wasUp(since: ticket) else { return }
        // One that was seen in a life before is never used again.
        let holds = ticket.highestLife < ticket.life ? generation > ticket.highest : generation >= ticket.highest
        promises.check(.generationForward, holds, "\(reader): \(generation) after \(ticket.highest)")
        change { state in
            guard generation > state.highest, state.life == ticket.life else { return }
            (state.highest, state.highestLife) = (generation, ticket.life)
        }
    }

    func checkMarks(_ seen: [Document.Seen], _ reader: String) {
        let accepted = look(\.accepted)
        for document in seen {
            let isFine = document.mark == .good || document.mark == .refused && accepted.contains(document.number)
            promises.check(.nothingRefusedServed, isFine, "\(reader): \(document)")
        }
    }

    /// Holds against one another what was known before the request and what has come.
    private func note(
        _ ticket: Ticket,
        _ generation: UInt64,
        _ numbers: [String: Int],
        in state: inout State,
        _ reader: String
    ) {
        guard state.phase == ticket.phase, state.isUp, state.life == ticket.life else { return }
        if generation > state.contents.last?.generation ?? 0 {
            state.contents.append((generation, numbers))
            if state.contents.count > 512 { state.contents.removeFirst(256) }
        }
        let ours = numbers.filter { layers.contains($0.key) }
        if let survivors = state.survivors, state.mode != .changing {
            state.survivors = nil
            let holds = survivors.allSatisfy { ours[$0.key] ?? 0 >= $0.value }
            promises.check(.durableSurvives, holds, "\(reader): \(ours) after \(survivors) was durable")
        }
        switch state.mode {
        case .changing: break
        case .held:
            let expected = state.heldContent ?? ours
            state.heldContent = expected
            promises.check(.held, expected == ours, "\(reader): \(ours), held is \(expected)")
        case .following:
            for (source, number) in ours {
                compare(ticket, source, number, in: &state, reader)
            }
        }
    }

    private func compare(_ ticket: Ticket, _ source: String, _ number: Int, in state: inout State, _ reader: String) {
        let floor = ticket.floors[source] ?? 0
        promises.check(.sequenceForward, number >= floor, "\(reader): \(source) has \(number) after \(floor)")
        // Told once, and not by each read that follows.
        if number < floor, number < state.floors[source] ?? 0 { state.floors[source] = number }
        raise(source, to: number, in: &state)
    }

    /// One value was read alone, or a document on demand.
    func read(_ ticket: Ticket, _ source: String, number: Int, by reader: String) {
        change { state in
            guard state.isUp, state.life == ticket.life else { return }
            if layers.contains(source) {
                guard state.phase == ticket.phase, state.mode == .following else { return }
            }
            compare(ticket, source, number, in: &state, reader)
        }
    }

    private func raise(_ source: String, to number: Int, in state: inout State) {
        guard number > state.floors[source] ?? 0 else { return }
        let now = Figures.now
        state.floors[source] = number
        state.floorSince[source] = now
        state.late.remove(source)
        let offers = state.offers[source] ?? []
        // Seen before a kill it would count its time twice.
        if number > state.newestSeen[source] ?? 0 {
            state.newestSeen[source] = number
            let from = state.wellSince[source] ?? 0
            if state.faults[source] == nil, let offer = offers.first(where: { $0.number == number }), offer.at > from,
                offer.at > state.modeSince, offer.at > state.upSince
            {
                state.latencies[source, default: []].append(Double(now - offer.at) / 1e6)
            }
        }
        state.offers[source] = offers.filter { $0.number > number }
    }

    // MARK: Offers and faults

    func offered(_ source: String, _ number: Int) {
        change { state in
            state.newestOffer[source] = number
            state.offers[source, default: []].append((number, Figures.now))
            // While nothing is taken for long the oldest matters and the newest.
            if let count = state.offers[source]?.count, count > 4_096 { state.offers[source]?.remove(at: count / 2) }
        }
    }

    func faultBegan(_ source: String, isFailure: Bool) {
        change { $0.faults[source] = Fault(since: Figures.now, isFailure: isFailure) }
    }

    func faultEnded(_ source: String) {
        change { state in
            state.faults[source] = nil
            state.wellSince[source] = Figures.now
        }
    }

    /// Those that have been failing for so long that health has to tell of it.
    func longFailing(grace: Double) -> Set<String> {
        look { state in
            guard state.isUp else { return [] }
            let now = Figures.now
            let begin = max(state.upSince, state.askedSince)
            let long = state.faults.filter { source, fault in
                layers.contains(source) && fault.isFailure && Double(now - max(fault.since, begin)) / 1e9 > grace
            }
            return Set(long.map { "\($0.key) since \($0.value.since), \(state.askedSince), \(state.upSince)" })
        }
    }

    // MARK: Time

    /// To be called now and then: finds what should have come by now.
    func checkLateness() {
        change { state in
            guard state.isUp, state.mode == .following else { return }
            let now = Figures.now
            for source in layers where state.faults[source] == nil {
                let floor = state.floors[source] ?? 0
                guard let offer = state.offers[source]?.first(where: { $0.number > floor }) else {
                    promises.check(.newestArrives, true, "")
                    continue
                }
                let times = [offer.at, state.wellSince[source] ?? 0, state.modeSince, state.askedSince, state.upSince]
                let seconds = Double(now - (times.max() ?? now)) / 1e9
                let isLate = seconds > Self.patience
                if isLate, !state.late.insert(source).inserted { continue }
                promises.check(
                    .newestArrives,
                    !isLate,
                    "\(source): \(offer.number) was offered \(seconds) s ago, \(floor) is served"
                )
            }
        }
    }

    func drainLatencies() -> [String: [Double]] {
        change { state in
            defer { state.latencies = [:] }
            return state.latencies
        }
    }

    // MARK: The operator's commands

    /// A command that may change what is in use is on its way.
    func commandBegins() {
        change { state in
            // From here on it may be another content that is there.
            state.survivors = nil
            state.phase += 1
            state.mode = .changing
            state.modeSince = Figures.now
        }
    }

    func commandEnds(_ mode: Mode, frozen: Bool = false, content: [String: Int]? = nil, asksAnew: Bool = false) {
        change { state in
            state.phase += 1
            state.mode = mode
            state.isFrozen = frozen
            state.heldContent = content
            state.modeSince = Figures.now
            if asksAnew { state.askedSince = state.modeSince }
        }
    }

    /// Sources may be asked under other settings, or after a pause.
    func asksAnew() { change { $0.askedSince = Figures.now } }

    // MARK: Lives

    func goesDown() {
        change { state in
            state.isUp = false
            state.phase += 1
            // What was durable is all that has to survive.
            let survivors = state.contents.last { $0.generation <= state.durable }?.numbers
            state.floors = survivors ?? [:]
            if state.mode == .held {
                state.floors = state.heldContent ?? state.floors
                if state.contents.last?.generation ?? 0 > state.durable { state.heldContent = nil }
            }
            state.survivors = state.floors.filter { layers.contains($0.key) }
            state.contents = []
        }
    }

    func comesUp() {
        change { state in
            state.isUp = true
            state.life += 1
            state.phase += 1
            state.upSince = Figures.now
            state.modeSince = state.upSince
            state.askedSince = state.upSince
            // What was never seen again after a kill is offered anew by its source, which has it still.
            for (source, number) in state.newestOffer where state.offers[source]?.isEmpty ?? true {
                state.offers[source] = [(number, state.upSince)]
            }
        }
    }
}
