internal import ConfigSnapshot
internal import Curl
internal import LockLadder

/// Sources that are files. Each read has a thread of its own, which may hang where the file system does.
extension FetchLoop {
    struct Files {
        /// A file that is being read.
        struct Reading {
            let id: UInt64
            /// `nil` when nobody wants any more what is being read.
            var flight: Flight?
            let trace: Trace
            /// What it takes up.
            var slot: Waiting.Slot
            /// The flight that begins once this reading is over.
            var next: Flight?
        }

        var readings: [SourceName: Reading] = [:]
        /// Readings that were given up, and whose threads hang: at most one for each source.
        var hanging: [SourceName: UInt64] = [:]
        /// Readings that belong to an earlier plan, and whose threads have not come back yet.
        var abandoned: Set<UInt64> = []
        var lastReading: UInt64 = 0
        /// Stamps of files that are on their way through the later stages.
        var passing: [Flight: FileReader.Stamps] = [:]
        var watcher: FileWatcher?
    }

    /// Threads that may hang at once, each on a file of its own: before another file is read that was not read last time,
    /// and before any other is.
    private static let mostHanging = 16
    private static let mostHangingInAll = 512

    /// - Returns: whether a read of the flight's own is under way.
    func readFile(
        _ flight: Flight,
        _ source: Source,
        _ trace: Trace,
        _ slot: Waiting.Slot,
        isFull: Bool
    ) -> Bool {
        let spec = source.spec
        if let failure = reasonNotToRead(source) {
            fail(flight, source, failure)
            return false
        }
        if files.readings[spec.name] != nil {
            files.readings[spec.name]?.next = flight
            return false
        }
        files.lastReading += 1
        let id = files.lastReading
        let inbox = inbox
        // Whoever commands a refresh wants to know for sure.
        let age = MonotonicTime.now.nanoseconds - source.fullAt
        let accepted = isFull || age > spec.auditInterval ? nil : source.stamp
        let watcher = spec.isWatched ? files.watcher?.instance : nil
        let thread = NamedThread("agent-file") {
            // First watched, then read: what changes in between is told.
            let marks = watcher.map { FileMarks.place(on: FileReader.urls(of: spec), with: $0) }
            inbox.post(.fileRead(spec.name, id: id, FileReader.read(spec, unless: accepted), marks))
        }
        guard thread != nil else {
            fail(flight, source, StageFailure(.fetch, "memory", "the system has no thread to read the file"))
            return false
        }
        files.readings[spec.name] = Files.Reading(id: id, flight: flight, trace: trace, slot: slot)
        let limit = UInt64(spec.timeoutMilliseconds) * 1_000_000
        let deadline = MonotonicTime.now.advanced(byNanoseconds: limit)
        timers.insert(.readingTooLong(spec.name, id: id), due: deadline.nanoseconds)
        return true
    }

    private func reasonNotToRead(_ source: Source) -> StageFailure? {
        let spec = source.spec
        if files.hanging[spec.name] != nil {
            return StageFailure(
                .fetch,
                "timeout",
                "an earlier read of the file still hangs",
                hint: "see whether the file system it is on answers: stat \(FileURL.path(of: spec.url) ?? "")"
            )
        }
        // One that was read last time is no suspect: hanging file systems elsewhere are no reason not to read it.
        let wasRead = source.stamp != nil && source.failures == 0
        let most = wasRead ? Self.mostHangingInAll : Self.mostHanging
        guard files.readings[spec.name] == nil, files.hanging.count + files.abandoned.count >= most else {
            return nil
        }
        return StageFailure(
            .fetch,
            "timeout",
            "\(most) reads of files hang already",
            hint: "see whether the file systems they are on answer"
        )
    }

    func giveUpReading(_ name: SourceName, _ id: UInt64) {
        guard let reading = endReading(name, id) else { return }
        files.hanging[name] = id
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
    private func endReading(_ name: SourceName, _ id: UInt64) -> Files.Reading? {
        guard let reading = files.readings[name], reading.id == id else { return nil }
        files.readings[name] = nil
        admission.comeBack(reading.slot)
        return reading
    }

    func fileRead(_ name: SourceName, _ id: UInt64, _ outcome: FileReader.Outcome, _ marks: FileMarks?) {
        if files.hanging[name] == id { files.hanging[name] = nil }
        let isCurrent = files.abandoned.remove(id) == nil
        let ended = endReading(name, id)
        if isCurrent { watchFile(name, marks, ofReading: id) }
        guard let reading = ended else { return }
        // Whoever came meanwhile may have commanded it.
        if let next = reading.next { wait(next, isFull: true) }
        guard let flight = reading.flight, let source = sources[name] else { return }
        let requested = MonotonicTime(nanoseconds: reading.trace[.requested] ?? 0)
        fetcher.board.update(name) { $0.timings.noteRead(MonotonicTime.now.nanoseconds(since: requested)) }
        switch outcome {
        case .same: fetcher.deliver(flight, .notModified(reading.trace), version: source.spec.version)
        case .failed(let failure): fail(flight, source, failure)
        case .read(let body, let signature, let stamps):
            files.passing[flight] = stamps
            var trace = reading.trace
            trace[.received] = MonotonicTime.now.nanoseconds
            let document = FetchedDocument(
                source: name,
                body: body,
                signature: signature,
                validators: .none,
                contentType: nil,
                trace: trace
            )
            fetcher.deliver(flight, .document(document), version: source.spec.version)
        }
    }

    /// A read goes on by itself; what it brings is wanted by nobody.
    func cancelReading(_ flight: Flight) {
        if files.readings[flight.key]?.flight == flight { files.readings[flight.key]?.flight = nil }
        if files.readings[flight.key]?.next == flight { files.readings[flight.key]?.next = nil }
    }

    /// The file may be another one now: the old one's read is left to itself.
    func breakOffReading(_ name: SourceName) -> [Flight] {
        if let id = files.hanging.removeValue(forKey: name) { files.abandoned.insert(id) }
        guard let reading = files.readings.removeValue(forKey: name) else { return [] }
        files.abandoned.insert(reading.id)
        admission.comeBack(reading.slot)
        return [reading.flight, reading.next].compactMap(\.self)
    }

    // MARK: Watching

    func startWatchingFiles() {
        guard let watcher = FileWatcher() else { return }
        let isWatched = multi.watch(watcher.instance.descriptor) { [unowned self] in
            for name in watcher.changes(reading: files.lastReading) { noteChange(name) }
        }
        if isWatched { files.watcher = watcher }
    }

    private func watchFile(_ name: SourceName, _ marks: FileMarks?, ofReading id: UInt64) {
        guard sources[name]?.spec.isWatched == true else { return }
        guard let watcher = files.watcher, let marks else {
            // Whoever had the last instance may have given it back: then the next read is watched.
            if files.watcher == nil { startWatchingFiles() }
            setWatchFacts(name) { $0.fail(.noInstance) }
            return
        }
        let isQuiet = files.readings.isEmpty && files.hanging.isEmpty && files.abandoned.isEmpty
        if watcher.follow(name, marks, ofReading: id, mayForget: isQuiet) { noteChange(name, isRumour: true) }
        setWatchFacts(name) {
            if let failure = marks.failure { $0.fail(failure) } else { $0.open() }
        }
    }
}

extension StageFailure {
    fileprivate static let noInstance = StageFailure(
        .fetch,
        "no_watches",
        "the system has no inotify instance left for this user",
        hint: "raise fs.inotify.max_user_instances (sysctl); until then the file is polled"
    )
}
