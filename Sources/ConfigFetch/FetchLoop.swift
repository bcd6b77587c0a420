internal import ConfigSnapshot
internal import Curl
internal import Glibc
internal import LockLadder

/// The `agent-fetch` thread: all transfers, all timers, nothing else. It never parses, writes files or waits for
/// another thread.
final class FetchLoop {
    typealias Flight = FetchInbox.Flight

    /// What the loop itself remembers of a source. Validators are those of the document in use, not of the last one
    /// received: they change only when a flight has passed every stage.
    private struct Source {
        let spec: SourceSpec
        var validators: Validators
        var stamp: FileStamp?
        var failures = 0
        /// When the document itself last came, or was last asked for.
        var fullAt: UInt64 = 0
        /// Told apart from timers that were overtaken by a later decision.
        var pollAt: UInt64 = 0
    }

    private struct Job {
        let flight: Flight
        var trace: Trace
        let transfer: CurlTransfer
        /// What the request was sent with.
        let validators: Validators
        let redirectsLeft: Int
        let stamp: FileStamp?
    }

    private enum Event {
        case poll(SourceName, at: UInt64)
        case begin(Flight, isFull: Bool)
    }

    /// A source that says "not modified" is believed for an hour; then the document is fetched and compared.
    private static let auditInterval: UInt64 = 3_600_000_000_000

    /// Transfers on the wire at once. More wait their turn, so that a transfer's time limit counts its own time only.
    private static let admitted = 128

    private let multi: CurlMulti
    private let inbox: FetchInbox
    private let fetcher: Fetcher
    private var sources: [SourceName: Source] = [:]
    private var timers = TimerHeap<Event>()
    private var queue: [(flight: Flight, isFull: Bool)] = []
    private var jobs: [ObjectIdentifier: Job] = [:]
    /// Stamps of files that are on their way through the later stages.
    private var passing: [Flight: FileStamp] = [:]
    private var random = JitterGenerator()

    init(multi: CurlMulti, inbox: FetchInbox, fetcher: Fetcher, validators: [SourceName: Validators]) {
        self.multi = multi
        self.inbox = inbox
        self.fetcher = fetcher
        for spec in fetcher.specs {
            // A stored copy counts as audited when it was stored.
            sources[spec.name] = Source(
                spec: spec,
                validators: validators[spec.name] ?? .none,
                fullAt: MonotonicTime.now.nanoseconds
            )
        }
    }

    func run() {
        let now = MonotonicTime.now.nanoseconds
        for name in sources.keys { setPoll(name, at: now) }
        while handleCommands() {
            fireTimers()
            admit()
            multi.perform()
            finishTransfers()
            multi.wait(milliseconds: millisecondsToNextTimer())
        }
    }

    /// - Returns: `false` when the loop is to end.
    private func handleCommands() -> Bool {
        for command in inbox.drain() {
            switch command {
            case .begin(let flight, let notBefore, let isFull):
                timers.insert(.begin(flight, isFull: isFull), due: notBefore)
            case .cancel(let flight): cancel(flight)
            case .finished(let flight, let outcome): finished(flight, outcome)
            case .answer(let answer): answer()
            case .stop: return false
            }
        }
        return true
    }

    // MARK: Time

    private func millisecondsToNextTimer() -> Int {
        if !queue.isEmpty && jobs.count < Self.admitted { return 0 }
        guard let due = timers.earliest else { return 60_000 }
        let now = MonotonicTime.now.nanoseconds
        // Rounded up: waking a moment early would turn the loop for nothing.
        return due <= now ? 0 : Int(clamping: (due - now + 999_999) / 1_000_000)
    }

    private func fireTimers() {
        let now = MonotonicTime.now.nanoseconds
        while let event = timers.pop(dueBy: now) {
            switch event {
            case .begin(let flight, let isFull): queue.append((flight, isFull))
            case .poll(let name, let at):
                guard let source = sources[name], source.pollAt == at else { continue }
                if !fetcher.poll(name) {
                    let delay = PollSchedule.delay(poll: source.spec.poll, using: &random)
                    setPoll(name, at: now + delay)
                }
            }
        }
    }

    /// A poll whose time was overtaken by a later decision lies in the heap until it is due: for a day, maybe.
    private func isCurrent(_ event: Event) -> Bool {
        guard case .poll(let name, let at) = event else { return true }
        return sources[name]?.pollAt == at
    }

    private func setPoll(_ name: SourceName, at time: UInt64) {
        sources[name]?.pollAt = time
        if timers.count > 4 * sources.count + 1_024 { timers.keep { isCurrent($0) } }
        timers.insert(.poll(name, at: time), due: time)
        let inNanoseconds = Int64(clamping: MonotonicTime(nanoseconds: time).nanoseconds(since: .now))
        let wall = WallClock.nowNanoseconds + inNanoseconds
        fetcher.board.update(name) { $0.nextPollAt = wall }
    }

    // MARK: Requests

    private func admit() {
        var taken = 0
        for (flight, isFull) in queue {
            guard jobs.count < Self.admitted else { break }
            taken += 1
            begin(flight, isFull: isFull)
        }
        queue.removeFirst(taken)
    }

    private func begin(_ flight: Flight, isFull: Bool) {
        guard let source = sources[flight.key], fetcher.flights.depart(flight) else { return }
        var trace = Trace()
        trace[.requested] = MonotonicTime.now.nanoseconds
        fetcher.board.update(flight.key) {
            $0.lastRequestAt = WallClock.nowNanoseconds
            $0.requests += 1
        }
        var stamp: FileStamp?
        if source.spec.kind == .file {
            switch lookAtFile(source) {
            case .success(let found?): stamp = found
            case .success(nil): return fetcher.deliver(flight, .notModified(trace))
            case .failure(let failure): return fail(flight, failure)
            }
        }
        send(
            flight,
            source,
            to: source.spec.url,
            validators: trusted(source, isFull: isFull),
            trace,
            redirectsLeft: source.spec.maxRedirects,
            stamp: stamp
        )
    }

    /// The validators to ask with: none where the document itself is wanted.
    private func trusted(_ source: Source, isFull: Bool) -> Validators {
        let now = MonotonicTime.now.nanoseconds
        guard isFull || source.validators.areYoung || now - source.fullAt > Self.auditInterval else {
            return source.validators
        }
        sources[source.spec.name]?.fullAt = now
        return .none
    }

    private func send(
        _ flight: Flight,
        _ source: Source,
        to url: String,
        validators: Validators,
        _ trace: Trace,
        redirectsLeft: Int,
        stamp: FileStamp?
    ) {
        let request = RequestBuilder.request(
            for: source.spec,
            url: url,
            isOwnOrigin: RequestBuilder.origin(of: url) == RequestBuilder.origin(of: source.spec.url),
            validators: validators
        )
        guard let transfer = CurlTransfer(request) else {
            return fail(flight, StageFailure(.fetch, "memory", "libcurl cannot set this request up"))
        }
        jobs[ObjectIdentifier(transfer)] = Job(
            flight: flight,
            trace: trace,
            transfer: transfer,
            validators: validators,
            redirectsLeft: redirectsLeft,
            stamp: stamp
        )
        multi.add(transfer)
    }

    /// - Returns: the stamp of a file that has to be read, `nil` for one that is still as it was accepted.
    private func lookAtFile(_ source: Source) -> Result<FileStamp?, StageFailure> {
        guard let path = FileURL.path(of: source.spec.url) else {
            return .failure(StageFailure(.fetch, "cannot_read", "the URL names no file"))
        }
        switch FileStamp.look(at: path) {
        case .regular(let stamp): return .success(stamp == source.stamp ? nil : stamp)
        case .notRegular:
            return .failure(StageFailure(.fetch, "cannot_read", "\(path) is not a regular file"))
        case .unreadable(let code):
            return .failure(
                StageFailure(
                    .fetch,
                    "cannot_read",
                    "cannot look at \(path): \(String(cString: strerror(code)))",
                    hint: "check that the file exists and that the agent's user may read it"
                )
            )
        }
    }

    private func finishTransfers() {
        while let (transfer, failure) = multi.nextDone() {
            guard let job = jobs.removeValue(forKey: ObjectIdentifier(transfer)), let source = sources[job.flight.key]
            else { continue }
            let reading = ResponseReader.read(
                transfer,
                failure: failure,
                of: source.spec,
                wasConditional: job.validators != .none,
                trace: job.trace
            )
            switch reading {
            case .redirect(let url): follow(job, source, to: url)
            case .result(let result): deliver(job, source, result)
            }
        }
    }

    private func follow(_ job: Job, _ source: Source, to url: String) {
        guard job.redirectsLeft > 0 else {
            let limit = source.spec.maxRedirects
            let failure = StageFailure(
                .fetch,
                "redirect",
                limit == 0
                    ? "the origin redirects, and redirects are not allowed"
                    : "the origin redirects more than \(limit) times",
                hint: "point 'url' at the final address, or raise 'max_redirects' of source '\(source.spec.name)'"
            )
            return fail(job.flight, failure)
        }
        send(
            job.flight,
            source,
            to: url,
            validators: job.validators,
            job.trace,
            redirectsLeft: job.redirectsLeft - 1,
            stamp: nil
        )
    }

    private func deliver(_ job: Job, _ source: Source, _ result: FetchResult) {
        if case .document(let document) = result, let stamp = job.stamp {
            // A file that changed while it was read may be half old and half new.
            let path = FileURL.path(of: source.spec.url) ?? ""
            guard FileStamp.look(at: path) == .regular(stamp), document.body.count == stamp.size else {
                return fail(
                    job.flight,
                    StageFailure(
                        .fetch,
                        "changed_while_read",
                        "\(path) changed while it was read",
                        hint: "write a new file and rename it over the old one"
                    )
                )
            }
            passing[job.flight] = stamp
        }
        fetcher.deliver(job.flight, result)
    }

    private func fail(_ flight: Flight, _ failure: StageFailure) {
        fetcher.deliver(flight, .failed(failure, retryAfterNanoseconds: nil))
    }

    private func cancel(_ flight: Flight) {
        queue.removeAll { $0.flight == flight }
        guard let (id, job) = jobs.first(where: { $0.value.flight == flight }) else { return }
        jobs[id] = nil
        multi.remove(job.transfer)
    }

    // MARK: Outcomes

    private func finished(_ flight: Flight, _ outcome: FlightOutcome) {
        let stamp = passing.removeValue(forKey: flight)
        guard var source = sources[flight.key] else { return }
        let delay: UInt64
        if case .failed(_, let retryAfter) = outcome.kind {
            source.failures += 1
            delay = PollSchedule.retryDelay(
                failures: source.failures,
                base: source.spec.retryBase,
                cap: source.spec.retryMax,
                retryAfter: retryAfter,
                using: &random
            )
        } else {
            source.failures = 0
            if let revision = outcome.revision { source.validators = revision.validators }
            if let stamp { source.stamp = stamp }
            delay = PollSchedule.delay(poll: source.spec.poll, using: &random)
        }
        sources[flight.key] = source
        setPoll(flight.key, at: MonotonicTime.now.advanced(byNanoseconds: delay).nanoseconds)
    }
}

/// SplitMix64 from a random seed. (The system's own generator has no size, so every fetch loop's would seem to lie at one
/// address: the thread sanitizer then sees a race where nothing is shared.)
private struct JitterGenerator: RandomNumberGenerator {
    private var state = UInt64.random(in: 0...UInt64.max)

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
