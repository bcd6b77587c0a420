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
        var passing: [Flight: FileStamp] = [:]
        var watcher: FileWatcher?
    }

    /// Threads that may hang at once, each on a file of its own.
    private static let mostHanging = 16

    /// - Returns: whether a read of the flight's own is under way.
    func readFile(_ flight: Flight, _ source: Source, _ trace: Trace) -> Bool {
        let spec = source.spec
        if let failure = reasonNotToRead(spec) {
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
        let accepted = source.stamp
        let watcher = spec.isWatched ? files.watcher?.instance : nil
        let thread = NamedThread("agent-file") {
            // First watched, then read: what changes in between is told.
            let marks = watcher.map { FileMarks.place(on: spec.url, with: $0) }
            inbox.post(.fileRead(spec.name, id: id, FileReader.read(spec, unless: accepted), marks))
        }
        guard thread != nil else {
            fail(flight, source, StageFailure(.fetch, "memory", "the system has no thread to read the file"))
            return false
        }
        files.readings[spec.name] = Files.Reading(id: id, flight: flight, trace: trace)
        let limit = UInt64(spec.timeoutMilliseconds) * 1_000_000
        let deadline = MonotonicTime.now.advanced(byNanoseconds: limit)
        timers.insert(.readingTooLong(spec.name, id: id), due: deadline.nanoseconds)
        return true
    }

    private func reasonNotToRead(_ spec: SourceSpec) -> StageFailure? {
        if files.hanging[spec.name] != nil {
            return StageFailure(
                .fetch,
                "timeout",
                "an earlier read of the file still hangs",
                hint: "see whether the file system it is on answers: stat \(FileURL.path(of: spec.url) ?? "")"
            )
        }
        guard files.readings[spec.name] == nil, files.hanging.count + files.abandoned.count >= Self.mostHanging else {
            return nil
        }
        return StageFailure(
            .fetch,
            "timeout",
            "\(Self.mostHanging) reads of files hang already",
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
        admission.comeBack(from: Self.files)
        return reading
    }

    func fileRead(_ name: SourceName, _ id: UInt64, _ outcome: FileReader.Outcome, _ marks: FileMarks?) {
        if files.hanging[name] == id { files.hanging[name] = nil }
        let isCurrent = files.abandoned.remove(id) == nil
        let ended = endReading(name, id)
        if isCurrent { watchFile(name, marks, ofReading: id) }
        guard let reading = ended else { return }
        if let next = reading.next { wait(next, isFull: false) }
        guard let flight = reading.flight, let source = sources[name] else { return }
        let requested = MonotonicTime(nanoseconds: reading.trace[.requested] ?? 0)
        fetcher.board.update(name) { $0.timings.noteRead(MonotonicTime.now.nanoseconds(since: requested)) }
        switch outcome {
        case .same: fetcher.deliver(flight, .notModified(reading.trace), version: source.spec.version)
        case .failed(let failure): fail(flight, source, failure)
        case .read(let body, let stamp):
            files.passing[flight] = stamp
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
        admission.comeBack(from: Self.files)
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
