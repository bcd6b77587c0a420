internal import ConfigSnapshot
internal import Curl
internal import Glibc
internal import LockLadder

/// The `agent-fetch` thread: all transfers, all timers, nothing else. It never writes files or waits for another thread, and
/// parses no documents: only the answers of those kinds of source whose documents come wrapped in something else.
///
/// Here: time, admission, and what comes from and goes to other threads. The requests themselves, files and watches each
/// have a file of their own.
final class FetchLoop {
    typealias Flight = FetchInbox.Flight

    /// What the loop itself remembers of a source. Validators are those of the document in use, not of the last one
    /// received: they change only when a flight has passed every stage.
    ///
    /// An object, which stays where it is: there is much of it, and it is looked up many times for each poll.
    final class Source {
        let spec: SourceSpec
        /// Itself at each of its places, and whom it is asked through there; none for files.
        let places: [(spec: SourceSpec, client: any SourceClient)]
        /// Which of them is asked.
        var failover: Failover
        var memory = RevisionMemory()
        /// The hash of the last document that another place has given under the name of the one in use.
        var disagreement: Int?
        /// Whether the validators are of the place that is asked: those of others mean nothing there.
        var hasMoved = false
        /// When its first place is looked at, while another one is asked.
        var probeAt: UInt64 = 0
        /// Whether it has just moved, and what was under way then is not over.
        var isMoving = false
        /// Whether the place that it has moved to has not been asked yet.
        var isNewHere = false
        var validators: Validators
        var stamp: FileReader.Stamps?
        var failures = 0
        /// Whether it has a place of its own among those that began with it.
        var isSpread = false
        /// When the document itself last came, and was taken.
        var fullAt: UInt64
        /// Told apart from timers that were overtaken by a later decision.
        var pollAt: UInt64 = 0
        /// Flights that have begun and are not finished.
        var underWay: Set<Flight> = []
        /// The source has asked to be left alone until then.
        var notBefore: UInt64 = 0
        /// Whether the retry that it waits for has been granted.
        var hasRetry = false
        /// A change was told while a flight was under way that may not have seen it.
        var hasChangedMeanwhile = false
        var watch = Watch()
        var sleep: Sleep

        init(_ spec: SourceSpec, _ inUse: SourceRevision?, _ past: SourcePast? = nil) {
            self.spec = spec
            self.validators = .none
            sleep = Sleep(isAsleep: spec.isOnDemand)
            places = spec.places.compactMap { place in place.makeClient().map { (place, $0) } }
            failover = Failover(
                places: max(1, places.count),
                preference: spec.prefersQuickest ? .latency : .order,
                maxLatency: spec.maxLatency
            )
            // A stored copy counts as audited when it was stored.
            fullAt = MonotonicTime.now.nanoseconds
            if let inUse { take(inUse, past) }
        }

        /// Goes on from a stored copy.
        func take(_ stored: SourceRevision, _ past: SourcePast? = nil) {
            validators = stored.validators
            guard places.count > 1 else { return }
            memory.seed(stored, past, places: places.map(\.spec))
            // They may have come from another place.
            hasMoved = true
        }

        /// The place that is asked; `nil` for files.
        var place: (spec: SourceSpec, client: any SourceClient)? { places.isEmpty ? nil : places[failover.active] }
        var client: (any SourceClient)? { place?.client }
        /// Whose turn its requests take.
        var host: String { place?.spec.host ?? spec.host }
    }

    enum Event {
        case poll(SourceName, at: UInt64)
        case probe(SourceName, at: UInt64)
        case silent(job: UInt64)
        case watch(SourceName, at: UInt64)
        case begin(Flight, isFull: Bool)
        case readingTooLong(SourceName, id: UInt64)
        case idle(SourceName, at: UInt64)
        case makeRoom
    }

    /// The one host that all files are together.
    static let files = "file"

    typealias Waiting = Admission<(flight: Flight, isFull: Bool)>

    /// Polls and refreshes under way at once. Watches and looks at other places are bounded by ``mostWatches`` and
    /// ``mostProbes``. Each to a name that does not resolve may be a thread of libcurl's that outlives it.
    static let admitted = Waiting.Room(lately: 256, toOneHost: 64, long: 512, suspect: 64)
    /// Whoever is under way for longer makes room for those who wait.
    private static let longTime: UInt64 = 1_000_000_000

    let multi: CurlMulti
    let inbox: FetchInbox
    let fetcher: Fetcher
    var sources: [SourceName: Source] = [:]
    var timers = TimerHeap<Event>()
    var admission = Waiting(FetchLoop.admitted)
    /// Whether no source is to be asked.
    private(set) var isFrozen = false
    /// When those who have been under way for long are next asked to make room; 0 while nobody waits for that.
    private var makesRoomAt: UInt64 = 0
    /// Hosts that have been asked, but for files.
    var hosts: [String: HostManners] = [:]
    var jobs: [ObjectIdentifier: Job] = [:]
    /// Of jobs and probes that another place could do instead, by number.
    var progress: [UInt64: Progress] = [:]
    var probes: [ObjectIdentifier: Probe] = [:]
    /// Numbers jobs and probes.
    var lastJob: UInt64 = 0
    /// What comes to use with a flight, if it passes all stages: of sources that have several places.
    var underJudgement: [Flight: RevisionMemory.Document] = [:]
    var watches: [ObjectIdentifier: OpenWatch] = [:]
    var files = Files()
    var random = JitterGenerator()

    init(
        multi: CurlMulti,
        inbox: FetchInbox,
        fetcher: Fetcher,
        inUse: [SourceName: SourceRevision],
        pasts: [SourceName: SourcePast]
    ) {
        self.multi = multi
        self.inbox = inbox
        self.fetcher = fetcher
        for spec in fetcher.initialSpecs {
            sources[spec.name] = Source(spec, inUse[spec.name], pasts[spec.name])
        }
    }

    func run() {
        startWatchingFiles()
        let now = MonotonicTime.now.nanoseconds
        for (name, source) in sources where !source.sleep.isAsleep {
            setPoll(name, at: now)
            scheduleProbe(name)
        }
        while handleCommands() {
            fireTimers()
            admit()
            multi.perform()
            hearPieces()
            finishTransfers()
            multi.wait(milliseconds: millisecondsToNextTimer())
        }
    }

    /// - Returns: `false` when the loop is to end.
    private func handleCommands() -> Bool {
        for command in inbox.drain() {
            switch command {
            case .begin(let flight, let notBefore, let isFull):
                sources[flight.key]?.underWay.insert(flight)
                timers.insert(.begin(flight, isFull: isFull), due: notBefore)
            case .cancel(let flight): cancel(flight)
            case .finished(let flight, let outcome): finished(flight, outcome)
            case .polled(let name, let at): polled(name, at)
            case .fileRead(let name, let id, let outcome, let marks): fileRead(name, id, outcome, marks)
            case .adopt(let specs, let inUse, let pasts): adopt(specs, inUse, pasts)
            case .wake(let name, let version, let stored, let use):
                wake(name, sources[name]?.spec.version == version ? stored : nil, use)
            case .freeze(let isFrozen): setFrozen(isFrozen)
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
            case .probe(let name, let at): probe(name, at: at)
            case .silent(let job): giveUpSilent(job)
            case .idle(let name, let at): fallAsleepIfIdle(name, at: at)
            case .makeRoom: makeRoom(at: now)
            case .watch(let name, let at):
                if sources[name]?.watch.beginsAt == at { beginWatch(name) }
            case .poll(let name, let at):
                guard let source = sources[name], source.pollAt == at, !isFrozen, !waitsForRetry(source, now) else {
                    continue
                }
                if !fetcher.poll(name, dueAt: at) {
                    setPoll(name, at: now + PollSchedule.delay(poll: source.spec.poll, using: &random))
                }
            }
        }
    }

    /// Whoever ends a flight tells the loop first and lets the flight land then. A poll that follows at once may join it in
    /// between: then nothing has set the time of the next one, and it is now.
    private func polled(_ name: SourceName, _ at: UInt64) {
        guard let source = sources[name], source.pollAt == at, source.underWay.isEmpty else { return }
        setPoll(name, at: MonotonicTime.now.nanoseconds)
    }

    /// Retries of all sources together leave their host room to breathe.
    private func waitsForRetry(_ source: Source, _ now: UInt64) -> Bool {
        guard source.failures > 0, source.client != nil else { return false }
        // A place that it may have to leave, or has just come to, is not asked again but tried: a few times only.
        let isTrying = source.failover.isSuspect || (source.isNewHere && !source.failover.isExhausted)
        guard !isTrying else { return false }
        let name = source.spec.name
        if source.hasRetry {
            sources[name]?.hasRetry = false
            return false
        }
        // No less often than the host has to bear from a source that does well.
        let longest = source.spec.poll.upperBound
        guard let wait = hosts[source.host]?.takeRetry(at: now, longest: longest), wait > 0 else { return false }
        sources[name]?.hasRetry = true
        setPoll(name, at: now + wait)
        return true
    }

    /// A poll whose time was overtaken by a later decision lies in the heap until it is due: for a day, maybe.
    private func isCurrent(_ event: Event) -> Bool {
        switch event {
        case .poll(let name, let at): sources[name]?.pollAt == at
        case .watch(let name, let at): sources[name]?.watch.beginsAt == at
        case .probe(let name, let at): sources[name]?.probeAt == at
        case .idle(let name, let at): sources[name]?.sleep.idleAt == at
        case .begin, .readingTooLong, .silent, .makeRoom: true
        }
    }

    func setPoll(_ name: SourceName, at time: UInt64) {
        sources[name]?.pollAt = time
        setTimer(.poll(name, at: time), due: time)
        let inNanoseconds = Int64(clamping: MonotonicTime(nanoseconds: time).nanoseconds(since: .now))
        let wall = WallClock.nowNanoseconds + inNanoseconds
        fetcher.board.update(name) { $0.nextPollAt = wall }
    }

    func setTimer(_ event: Event, due: UInt64) {
        if timers.count > 8 * sources.count + 1_024 { timers.keep { isCurrent($0) } }
        timers.insert(event, due: due)
    }

    // MARK: Freezing

    /// Polls whose time comes meanwhile are lost: each source is asked once it is over, and they spread as they do at a start.
    private func setFrozen(_ isFrozen: Bool) {
        guard isFrozen != self.isFrozen else { return }
        self.isFrozen = isFrozen
        let now = MonotonicTime.now.nanoseconds
        if isFrozen { endWatches() }
        for (name, source) in sources where !source.sleep.isAsleep {
            if isFrozen {
                fetcher.board.update(name) { $0.nextPollAt = nil }
            } else {
                sources[name]?.isSpread = false
                setPoll(name, at: max(now, source.notBefore))
            }
        }
    }

    // MARK: Flights

    func wait(_ flight: Flight, isFull: Bool) {
        admission.wait((flight, isFull), for: host(of: flight.key))
    }

    /// Whose turn a request to a source takes. All files together are one host.
    private func host(of name: SourceName) -> String { sources[name]?.host ?? "" }

    private func admit() {
        while let (request, slot) = admission.next() {
            if !begin(request.flight, isFull: request.isFull, slot) { admission.comeBack(slot) }
        }
        guard makesRoomAt == 0, admission.isHeldUp(atHost: Self.files) else { return }
        makesRoomAt = MonotonicTime.now.nanoseconds + Self.longTime / 4
        timers.insert(.makeRoom, due: makesRoomAt)
    }

    /// Those who have been under way for long do not keep others waiting, and files, which have no host in common, not even
    /// one another.
    private func makeRoom(at now: UInt64) {
        makesRoomAt = 0
        func isLong(_ trace: Trace) -> Bool { now > (trace[.requested] ?? now) + Self.longTime }
        for (id, job) in jobs where isLong(job.aim.trace) {
            var slot = job.aim.slot
            admission.makeRoom(&slot, atHost: false)
            jobs[id]?.aim.slot = slot
        }
        for (name, reading) in files.readings where isLong(reading.trace) {
            var slot = reading.slot
            admission.makeRoom(&slot, atHost: true)
            files.readings[name]?.slot = slot
        }
    }

    /// - Returns: whether a request is under way, so that ``Admission/comeBack(_:)`` is still to come.
    private func begin(_ flight: Flight, isFull: Bool, _ slot: Waiting.Slot) -> Bool {
        let host = slot.host
        leaveIfTimeIsOver(flight.key, at: MonotonicTime.now.nanoseconds)
        // It was in line for a host that is not asked any more.
        if let source = sources[flight.key], source.host != host {
            wait(flight, isFull: isFull)
            return false
        }
        guard fetcher.flights.depart(flight) else {
            // Nobody wants it any more, and its end was told before its beginning.
            sources[flight.key]?.underWay.remove(flight)
            return false
        }
        guard let source = sources[flight.key] else {
            let failure = StageFailure(.fetch, "removed", "source '\(flight.key)' is no longer configured")
            fetcher.deliver(flight, .failed(failure, retryAfterNanoseconds: nil), version: 0)
            return false
        }
        if isFrozen {
            fail(flight, source, .frozen)
            return false
        }
        var trace = Trace()
        let now = MonotonicTime.now.nanoseconds
        trace[.requested] = now
        // With several places, their documents are weighed against one another: then each is asked for its own.
        if !isFull, source.places.count == 1, let body = source.client?.atHand() {
            trace[.received] = now
            let document = FetchedDocument(
                source: flight.key,
                body: body,
                validators: .none,
                contentType: nil,
                trace: trace
            )
            fetcher.deliver(flight, .document(document), version: source.spec.version)
            return false
        }
        // Whoever commands a refresh wants to know, and is one of few.
        if source.client != nil, !hosts[host, default: HostManners()].mayAsk(at: now), !isFull {
            noteVerdict(.unavailable, of: source.spec.name, because: "its host does not answer")
            fail(flight, source, .hostDown(host, hosts[host]))
            return false
        }
        fetcher.board.update(flight.key) {
            $0.lastRequestAt = WallClock.nowNanoseconds
            $0.requests += 1
            // Before its time somebody else wanted it.
            if now >= source.pollAt { $0.timings.noteWait(now - source.pollAt) }
        }
        guard let client = source.client else { return readFile(flight, source, trace, slot, isFull: isFull) }
        sources[flight.key]?.isNewHere = false
        let request = client.ask(trusted(source, isFull: isFull))
        let aim = Job.Aim(flight: flight, slot: slot, place: source.failover.active, trace: trace)
        return send(aim, source, request)
    }

    /// The validators to ask with: none where the document itself is wanted.
    private func trusted(_ source: Source, isFull: Bool) -> Validators {
        let age = MonotonicTime.now.nanoseconds - source.fullAt
        let isBelieved = !source.hasMoved && !source.validators.areYoung && age <= source.spec.auditInterval
        return isBelieved && !isFull ? source.validators : .none
    }

    func fail(_ flight: Flight, _ source: Source, _ failure: StageFailure, retryAfter: UInt64? = nil) {
        fetcher.deliver(flight, .failed(failure, retryAfterNanoseconds: retryAfter), version: source.spec.version)
    }

    private func cancel(_ flight: Flight) {
        sources[flight.key]?.underWay.remove(flight)
        admission.remove(for: host(of: flight.key)) { $0.flight == flight }
        cancelReading(flight)
        cancelJob(flight)
        guard let source = sources[flight.key], source.underWay.isEmpty else { return }
        if source.isMoving {
            sources[flight.key]?.isMoving = false
            setPoll(flight.key, at: MonotonicTime.now.nanoseconds)
        } else if source.hasChangedMeanwhile {
            sources[flight.key]?.hasChangedMeanwhile = false
            noteChange(flight.key, isRumour: true)
        }
        watchOn(flight.key)
    }

    // MARK: A new plan

    /// Takes over new sources. What is on its way for one that means something else now is broken off and begun anew;
    /// all others go on undisturbed.
    private func adopt(
        _ specs: [SourceSpec],
        _ inUse: [SourceName: SourceRevision],
        _ pasts: [SourceName: SourcePast]
    ) {
        let old = sources
        sources = Dictionary(
            uniqueKeysWithValues: specs.map { spec in
                if let same = old[spec.name], same.spec.version == spec.version { return (spec.name, same) }
                let new = Source(spec, inUse[spec.name], pasts[spec.name])
                // What was seen at the same places is as old as before.
                if let before = old[spec.name], before.spec.url == spec.url, before.spec.mirrors == spec.mirrors {
                    new.memory = before.memory
                    if new.places.count > 1 {
                        new.failover.goOn(from: before.failover, at: MonotonicTime.now.nanoseconds)
                        let active = new.failover.active
                        if active > 0 { fetcher.board.update(spec.name) { $0.place = active } }
                    }
                }
                return (spec.name, new)
            }
        )
        for (name, source) in old where sources[name]?.spec.version != source.spec.version {
            endWatch(name)
            let flights = breakOffJobs(name) + breakOffReading(name)
            breakOffProbe(name)
            sources[name]?.underWay = source.underWay
            for flight in flights { wait(flight, isFull: true) }
            // One that is read goes on being asked.
            if let use = source.sleep.use, !source.sleep.isAsleep { wake(name, nil, use) }
        }
        let inUse = Set(sources.values.flatMap { $0.places.map(\.spec.host) })
        for host in hosts.keys where !inUse.contains(host) {
            hosts[host] = nil
            admission.setRoom(nil, for: host)
            admission.setSuspect(false, host)
        }
        let now = MonotonicTime.now.nanoseconds
        for spec in specs where old[spec.name]?.spec.version != spec.version {
            guard sources[spec.name]?.sleep.isAsleep == false else { continue }
            setPoll(spec.name, at: now)
            scheduleProbe(spec.name)
        }
    }

    // MARK: Outcomes

    private func finished(_ flight: Flight, _ outcome: FlightOutcome) {
        let stamp = files.passing.removeValue(forKey: flight)
        let document = underJudgement.removeValue(forKey: flight)
        guard let source = sources[flight.key] else { return }
        source.underWay.remove(flight)
        if source.sleep.isAsleep { return putToSleep(flight.key) }
        if outcome.isSuperseded {
            // It says nothing about the source as it is now, which has still to be asked.
            setPoll(flight.key, at: max(MonotonicTime.now.nanoseconds, source.notBefore))
            return
        }
        let delay: UInt64
        if case .failed(_, let retryAfter) = outcome.kind {
            delay = delayAfterFailure(of: source, retryAfter)
        } else {
            if let stamp { source.stamp = stamp }
            if case .notModified = outcome.kind {} else { source.fullAt = MonotonicTime.now.nanoseconds }
            if let document {
                source.memory.accept(document)
                if document.place == source.failover.active { source.hasMoved = false }
            }
            delay = delayAfterSuccess(of: source, outcome.revision)
        }
        var next = MonotonicTime.now.advanced(byNanoseconds: delay).nanoseconds
        if source.hasChangedMeanwhile, source.underWay.isEmpty {
            source.hasChangedMeanwhile = false
            next = min(next, source.watch.nextChangeAt)
            source.watch.lastChangeAt = next
        }
        if source.failover.isSuspect { next = min(next, MonotonicTime.now.nanoseconds + Failover.probing) }
        if source.isMoving {
            source.isMoving = false
            source.notBefore = source.failover.activeRests
            if !source.failover.isExhausted { next = MonotonicTime.now.nanoseconds }
        }
        next = max(next, source.notBefore)
        setPoll(flight.key, at: next)
        watchOn(flight.key)
    }

    private func delayAfterFailure(of source: Source, _ retryAfter: UInt64?) -> UInt64 {
        source.failures += 1
        let rest = min(retryAfter ?? 0, PollSchedule.longestRetryAfter)
        source.notBefore = rest > 0 ? MonotonicTime.now.nanoseconds + rest : 0
        return PollSchedule.retryDelay(
            failures: source.failures,
            base: source.spec.retryBase,
            cap: source.spec.retryMax,
            // Another place has not asked to be left alone.
            retryAfter: source.isMoving ? nil : retryAfter,
            using: &random
        )
    }

    private func delayAfterSuccess(of source: Source, _ revision: SourceRevision?) -> UInt64 {
        source.failures = 0
        source.notBefore = 0
        if let revision { source.validators = revision.validators }
        let wasSpread = source.isSpread
        source.isSpread = true
        let (poll, rest) = (source.spec.poll, source.client?.rest)
        return wasSpread
            ? PollSchedule.delay(poll: poll, rest: rest, using: &random)
            : PollSchedule.firstDelay(poll: poll, rest: rest, using: &random)
    }
}

/// SplitMix64 from a random seed. (The system's own generator has no size, so every fetch loop's would seem to lie at one
/// address: the thread sanitizer then sees a race where nothing is shared.)
struct JitterGenerator: RandomNumberGenerator {
    private var state = UInt64.random(in: 0...UInt64.max)

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
