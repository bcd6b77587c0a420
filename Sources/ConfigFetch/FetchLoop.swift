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
        /// Whether it has a place of its own among those that began with it.
        var isSpread = false
        /// When the document itself last came, or was last asked for.
        var fullAt: UInt64 = 0
        /// Told apart from timers that were overtaken by a later decision.
        var pollAt: UInt64 = 0
    }

    private struct Job {
        let flight: Flight
        /// Whose turn it took.
        let host: String
        var trace: Trace
        let transfer: CurlTransfer
        /// What the request was sent with.
        let validators: Validators
        let redirectsLeft: Int
    }

    /// A file that is being read, on a thread of its own.
    private struct Reading {
        let id: UInt64
        /// `nil` when nobody wants any more what is being read.
        var flight: Flight?
        let trace: Trace
        /// The flight that begins once this reading is over.
        var next: Flight?
    }

    private enum Event {
        case poll(SourceName, at: UInt64)
        case begin(Flight, isFull: Bool)
        case readingTooLong(SourceName, id: UInt64)
    }

    /// A source that says "not modified" is believed for an hour; then the document is fetched and compared.
    private static let auditInterval: UInt64 = 3_600_000_000_000

    /// Threads that may hang at once, each on a file of its own.
    private static let mostHanging = 16

    /// The one host that all files are together.
    private static let files = "file"

    /// Requests under way at once, in all and to one host.
    private static let admitted = (inAll: 256, toOneHost: 64)

    private let multi: CurlMulti
    private let inbox: FetchInbox
    private let fetcher: Fetcher
    private var sources: [SourceName: Source] = [:]
    private var timers = TimerHeap<Event>()
    private var admission = Admission<(flight: Flight, isFull: Bool)>(
        inAll: FetchLoop.admitted.inAll,
        toOneHost: FetchLoop.admitted.toOneHost
    )
    private var jobs: [ObjectIdentifier: Job] = [:]
    private var readings: [SourceName: Reading] = [:]
    /// Readings that were given up, and whose threads hang: at most one for each source.
    private var hanging: [SourceName: UInt64] = [:]
    /// Readings that belong to an earlier plan, and whose threads have not come back yet.
    private var abandoned: Set<UInt64> = []
    private var lastReading: UInt64 = 0
    /// Stamps of files that are on their way through the later stages.
    private var passing: [Flight: FileStamp] = [:]
    private var random = JitterGenerator()

    init(multi: CurlMulti, inbox: FetchInbox, fetcher: Fetcher, validators: [SourceName: Validators]) {
        self.multi = multi
        self.inbox = inbox
        self.fetcher = fetcher
        for spec in fetcher.initialSpecs {
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
            case .fileRead(let name, let id, let outcome): fileRead(name, id, outcome)
            case .adopt(let specs, let validators): adopt(specs, validators)
            case .answer(let answer): answer()
            case .stop: return false
            }
        }
        return true
    }

    // MARK: Time

    private func millisecondsToNextTimer() -> Int {
        if admission.isReady { return 0 }
        guard let due = timers.earliest else { return 60_000 }
        let now = MonotonicTime.now.nanoseconds
        // Rounded up: waking a moment early would turn the loop for nothing.
        return due <= now ? 0 : Int(clamping: (due - now + 999_999) / 1_000_000)
    }

    private func fireTimers() {
        let now = MonotonicTime.now.nanoseconds
        while let event = timers.pop(dueBy: now) {
            switch event {
            case .begin(let flight, let isFull): wait(flight, isFull: isFull)
            case .readingTooLong(let name, let id): giveUpReading(name, id)
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

    private func wait(_ flight: Flight, isFull: Bool) {
        admission.wait((flight, isFull), for: host(of: flight.key))
    }

    /// Whose turn a request to a source takes. All files together are one host.
    private func host(of name: SourceName) -> String {
        guard let spec = sources[name]?.spec else { return "" }
        switch spec.kind {
        case .file: return Self.files
        case .unix: return spec.unixSocket ?? ""
        case .http, .https: return RequestBuilder.origin(of: spec.url)
        }
    }

    private func admit() {
        while let (request, host) = admission.next() {
            if !begin(request.flight, isFull: request.isFull, to: host) { admission.comeBack(from: host) }
        }
    }

    /// - Returns: whether a request is under way, so that ``Admission/comeBack(from:)`` is still to come.
    private func begin(_ flight: Flight, isFull: Bool, to host: String) -> Bool {
        guard fetcher.flights.depart(flight) else { return false }
        guard let source = sources[flight.key] else {
            let failure = StageFailure(.fetch, "removed", "source '\(flight.key)' is no longer configured")
            fetcher.deliver(flight, .failed(failure, retryAfterNanoseconds: nil), version: 0)
            return false
        }
        var trace = Trace()
        let now = MonotonicTime.now.nanoseconds
        trace[.requested] = now
        fetcher.board.update(flight.key) {
            $0.lastRequestAt = WallClock.nowNanoseconds
            $0.requests += 1
            // Before its time somebody else wanted it.
            if now >= source.pollAt { $0.timings.noteWait(now - source.pollAt) }
        }
        guard source.spec.kind != .file else { return readFile(flight, source, trace) }
        return send(
            flight,
            of: host,
            source,
            to: source.spec.url,
            validators: trusted(source, isFull: isFull),
            trace,
            redirectsLeft: source.spec.maxRedirects
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

    /// - Returns: whether the request is under way.
    private func send(
        _ flight: Flight,
        of host: String,
        _ source: Source,
        to url: String,
        validators: Validators,
        _ trace: Trace,
        redirectsLeft: Int
    ) -> Bool {
        let request = RequestBuilder.request(
            for: source.spec,
            url: url,
            isOwnOrigin: RequestBuilder.origin(of: url) == RequestBuilder.origin(of: source.spec.url),
            validators: validators
        )
        guard let transfer = CurlTransfer(request) else {
            fail(flight, source, StageFailure(.fetch, "memory", "libcurl cannot set this request up"))
            return false
        }
        jobs[ObjectIdentifier(transfer)] = Job(
            flight: flight,
            host: host,
            trace: trace,
            transfer: transfer,
            validators: validators,
            redirectsLeft: redirectsLeft
        )
        multi.add(transfer)
        return true
    }

    // MARK: Files

    /// - Returns: whether a read of the flight's own is under way.
    private func readFile(_ flight: Flight, _ source: Source, _ trace: Trace) -> Bool {
        let spec = source.spec
        if let failure = reasonNotToRead(spec) {
            fail(flight, source, failure)
            return false
        }
        if readings[spec.name] != nil {
            readings[spec.name]?.next = flight
            return false
        }
        lastReading += 1
        let id = lastReading
        let inbox = inbox
        let accepted = source.stamp
        let thread = NamedThread("agent-file") {
            inbox.post(.fileRead(spec.name, id: id, FileReader.read(spec, unless: accepted)))
        }
        guard thread != nil else {
            fail(flight, source, StageFailure(.fetch, "memory", "the system has no thread to read the file"))
            return false
        }
        readings[spec.name] = Reading(id: id, flight: flight, trace: trace)
        let limit = UInt64(spec.timeoutMilliseconds) * 1_000_000
        let deadline = MonotonicTime.now.advanced(byNanoseconds: limit)
        timers.insert(.readingTooLong(spec.name, id: id), due: deadline.nanoseconds)
        return true
    }

    private func reasonNotToRead(_ spec: SourceSpec) -> StageFailure? {
        if hanging[spec.name] != nil {
            return StageFailure(
                .fetch,
                "timeout",
                "an earlier read of the file still hangs",
                hint: "see whether the file system it is on answers: stat \(FileURL.path(of: spec.url) ?? "")"
            )
        }
        guard readings[spec.name] == nil, hanging.count + abandoned.count >= Self.mostHanging else { return nil }
        return StageFailure(
            .fetch,
            "timeout",
            "\(Self.mostHanging) reads of files hang already",
            hint: "see whether the file systems they are on answer"
        )
    }

    private func giveUpReading(_ name: SourceName, _ id: UInt64) {
        guard let reading = endReading(name, id) else { return }
        hanging[name] = id
        // Adopting a plan breaks the readings of its sources off, so the source is there.
        guard let source = sources[name] else { return }
        let failure = StageFailure(
            .fetch,
            "timeout",
            "the file was not read within \(source.spec.timeoutMilliseconds) ms",
            hint: "see whether the file system it is on answers"
        )
        for flight in [reading.flight, reading.next].compactMap(\.self) { fail(flight, source, failure) }
    }

    /// The reading, if it is that one that is under way, which it is no more.
    private func endReading(_ name: SourceName, _ id: UInt64) -> Reading? {
        guard let reading = readings[name], reading.id == id else { return nil }
        readings[name] = nil
        admission.comeBack(from: Self.files)
        return reading
    }

    private func fileRead(_ name: SourceName, _ id: UInt64, _ outcome: FileReader.Outcome) {
        if hanging[name] == id { hanging[name] = nil }
        abandoned.remove(id)
        guard let reading = endReading(name, id) else { return }
        if let next = reading.next { wait(next, isFull: false) }
        guard let flight = reading.flight, let source = sources[name] else { return }
        let requested = MonotonicTime(nanoseconds: reading.trace[.requested] ?? 0)
        fetcher.board.update(name) { $0.timings.noteRead(MonotonicTime.now.nanoseconds(since: requested)) }
        switch outcome {
        case .same: fetcher.deliver(flight, .notModified(reading.trace), version: source.spec.version)
        case .failed(let failure): fail(flight, source, failure)
        case .read(let body, let stamp):
            passing[flight] = stamp
            var trace = reading.trace
            trace[.received] = MonotonicTime.now.nanoseconds
            let document = FetchedDocument(
                source: name,
                body: body,
                validators: .none,
                contentType: nil,
                trace: trace
            )
            fetcher.deliver(flight, .document(document), version: source.spec.version)
        }
    }

    // MARK: Answers

    private func finishTransfers() {
        while let (transfer, failure) = multi.nextDone() {
            guard let job = jobs.removeValue(forKey: ObjectIdentifier(transfer)) else { continue }
            if !finish(job, failure) { admission.comeBack(from: job.host) }
        }
    }

    /// - Returns: whether the job goes on, with another request.
    private func finish(_ job: Job, _ failure: CurlTransfer.Failure?) -> Bool {
        // A plan without the source has broken its jobs off.
        guard let source = sources[job.flight.key] else { return false }
        let timings = job.transfer.timings
        fetcher.board.update(job.flight.key) { $0.timings.note(timings) }
        let reading = ResponseReader.read(
            job.transfer,
            failure: failure,
            of: source.spec,
            wasConditional: job.validators != .none,
            trace: job.trace
        )
        switch reading {
        case .redirect(let url): return follow(job, source, to: url)
        case .result(let result):
            fetcher.deliver(job.flight, result, version: source.spec.version)
            return false
        }
    }

    private func follow(_ job: Job, _ source: Source, to url: String) -> Bool {
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
            fail(job.flight, source, failure)
            return false
        }
        return send(
            job.flight,
            of: job.host,
            source,
            to: url,
            validators: job.validators,
            job.trace,
            redirectsLeft: job.redirectsLeft - 1
        )
    }

    private func fail(_ flight: Flight, _ source: Source, _ failure: StageFailure) {
        fetcher.deliver(flight, .failed(failure, retryAfterNanoseconds: nil), version: source.spec.version)
    }

    private func cancel(_ flight: Flight) {
        admission.remove(for: host(of: flight.key)) { $0.flight == flight }
        // A read goes on by itself; what it brings is wanted by nobody.
        if readings[flight.key]?.flight == flight { readings[flight.key]?.flight = nil }
        if readings[flight.key]?.next == flight { readings[flight.key]?.next = nil }
        guard let (id, job) = jobs.first(where: { $0.value.flight == flight }) else { return }
        jobs[id] = nil
        multi.remove(job.transfer)
        admission.comeBack(from: job.host)
    }

    // MARK: A new plan

    /// Takes over new sources. What is on its way for one that means something else now is broken off and begun anew;
    /// all others go on undisturbed.
    private func adopt(_ specs: [SourceSpec], _ validators: [SourceName: Validators]) {
        let old = sources
        sources = Dictionary(
            uniqueKeysWithValues: specs.map { spec in
                if let same = old[spec.name], same.spec.version == spec.version { return (spec.name, same) }
                let fresh = Source(
                    spec: spec,
                    validators: validators[spec.name] ?? .none,
                    fullAt: MonotonicTime.now.nanoseconds
                )
                return (spec.name, fresh)
            }
        )
        for (name, source) in old where sources[name]?.spec.version != source.spec.version {
            for flight in breakOff(name) { wait(flight, isFull: true) }
        }
        let now = MonotonicTime.now.nanoseconds
        for spec in specs where old[spec.name]?.spec.version != spec.version { setPoll(spec.name, at: now) }
    }

    /// Takes the flights of a source off the wire.
    private func breakOff(_ name: SourceName) -> [Flight] {
        var flights: [Flight] = []
        for (id, job) in jobs where job.flight.key == name {
            jobs[id] = nil
            multi.remove(job.transfer)
            admission.comeBack(from: job.host)
            flights.append(job.flight)
        }
        // The file may be another one now: the old one's read is left to itself.
        if let reading = readings.removeValue(forKey: name) {
            flights += [reading.flight, reading.next].compactMap(\.self)
            abandoned.insert(reading.id)
            admission.comeBack(from: Self.files)
        }
        if let id = hanging.removeValue(forKey: name) { abandoned.insert(id) }
        return flights
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
            delay =
                source.isSpread
                ? PollSchedule.delay(poll: source.spec.poll, using: &random)
                : PollSchedule.firstDelay(poll: source.spec.poll, using: &random)
            source.isSpread = true
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
