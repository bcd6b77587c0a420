internal import ConfigSnapshot
internal import Curl
internal import Glibc
internal import LockLadder

/// Sources that tell of changes themselves. A watch says that it is time to fetch, or brings the value along; that goes the
/// same way as after a poll, and the polls go on: a watch that has died in silence costs a poll's time and never the truth.
extension FetchLoop {
    /// What is known of a source's watch.
    struct Watch {
        /// When it begins; zero for not on its own.
        var beginsAt: UInt64 = 0
        var isOpen = false
        /// A change was told: it begins again after the fetch.
        var hasToldOfChange = false
        var failures = 0
        /// When the last one began, and how many in a row were answered within a second.
        var beganAt: UInt64 = 0
        var quickAnswers = 0
        /// When the last fetch was that a change has caused.
        var lastChangeAt: UInt64 = 0

        /// When the next watch may begin: a source that always has something to tell is not asked in a loop.
        var nextBeginning: UInt64 {
            quickAnswers == 0
                ? 0
                : beganAt
                    + min(
                        PollSchedule.shortestBetweenChanges << UInt64(min(quickAnswers, 8)),
                        PollSchedule.shortestPoll
                    )
        }

        /// When the next fetch may be.
        var nextChangeAt: UInt64 {
            max(MonotonicTime.now.nanoseconds, lastChangeAt + PollSchedule.shortestBetweenChanges)
        }
    }

    struct OpenWatch {
        let source: SourceName
        let host: String
        let transfer: CurlTransfer
        let request: SourceRequest
        let beganAt: UInt64
    }

    /// Each open watch takes a connection: sources beyond these are polled only.
    static let mostWatches = {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return min(4_096, Int(clamping: limit.rlim_cur) / 4)
    }()

    /// A stream that speaks after this time has shown that it works.
    private static let provenAfter: UInt64 = 5_000_000_000

    /// After each fetch: the watch begins, or goes on from what is known now.
    func watchOn(_ name: SourceName) {
        guard let source = sources[name], source.spec.isWatched, let client = source.client, source.underWay.isEmpty,
            !source.sleep.isAsleep, !isFrozen
        else {
            return
        }
        if source.watch.isOpen, client.wantsNewWatch { endWatch(name) }
        // One that has failed waits for its time, and one that tells of changes all the time begins once a second.
        guard sources[name]?.watch.isOpen == false, source.watch.beginsAt == 0 || source.watch.hasToldOfChange else {
            return
        }
        let due = source.watch.nextBeginning
        if due > MonotonicTime.now.nanoseconds { beginWatch(name, at: due) } else { beginWatch(name) }
    }

    func beginWatch(_ name: SourceName) {
        sources[name]?.watch.beginsAt = 0
        sources[name]?.watch.hasToldOfChange = false
        guard let source = sources[name], !source.watch.isOpen, !isFrozen else { return }
        guard let request = source.client?.watch() else {
            if let failure = source.client?.unwatchable {
                setWatchFacts(name) { $0.fail(failure) }
            } else {
                closeWatchFacts(name)
            }
            return
        }
        guard watches.count < Self.mostWatches else {
            setWatchFacts(name) { $0.fail(.tooManyWatches) }
            return
        }
        let now = MonotonicTime.now.nanoseconds
        // It wants to be left alone.
        if source.notBefore > now { return beginWatch(name, at: source.notBefore) }
        // Whether a host is back, a poll finds out.
        if hosts[source.host]?.isSuspect == true {
            let longest = HostManners.pauses.longest
            return beginWatch(name, at: now + UInt64.random(in: (longest / 2)...longest, using: &random))
        }
        let built = RequestBuilder.request(for: source.spec, request, url: request.url, isOwnOrigin: true)
        guard let transfer = CurlTransfer(built) else { return }
        watches[ObjectIdentifier(transfer)] = OpenWatch(
            source: name,
            host: source.host,
            transfer: transfer,
            request: request,
            beganAt: now
        )
        sources[name]?.watch.isOpen = true
        sources[name]?.watch.beganAt = now
        multi.add(transfer)
        setWatchFacts(name) { $0.open() }
    }

    func endWatch(_ name: SourceName) {
        files.watcher?.forget(name)
        sources[name]?.watch = Watch()
        closeWatchFacts(name)
        for (id, watch) in watches where watch.source == name {
            watches[id] = nil
            multi.remove(watch.transfer)
        }
    }

    /// The same for all sources.
    func endWatches() {
        for (name, source) in sources {
            files.watcher?.forget(name)
            source.watch = Watch()
            closeWatchFacts(name)
        }
        for watch in watches.values { multi.remove(watch.transfer) }
        watches = [:]
    }

    // MARK: What they tell

    func hearPieces() {
        while let (transfer, piece) = multi.nextPiece() {
            guard let watch = watches[ObjectIdentifier(transfer)], let client = sources[watch.source]?.client else {
                continue
            }
            let heard = client.heard(piece)
            if MonotonicTime.now.nanoseconds > watch.beganAt + Self.provenAfter {
                sources[watch.source]?.watch.failures = 0
            }
            switch heard {
            case .nothing: break
            case .changed: noteChange(watch.source)
            case .refused(let failure):
                watches[ObjectIdentifier(transfer)] = nil
                multi.remove(transfer)
                watchFailed(watch.source, failure)
            }
        }
    }

    func watchEnded(_ watch: OpenWatch, _ failure: CurlTransfer.Failure?) {
        let name = watch.source
        guard let source = sources[name], let client = source.client else { return }
        sources[name]?.watch.isOpen = false
        if let failure {
            // Its time was over, as the time of each comes.
            if failure.kind == .timeout, watch.transfer.status == 200 { return watchAgain(name, watch) }
            let told = Answer.stageFailure(failure, of: source.spec)
            // One that has waited for long may have been cut off by whatever lies in between: polls tell of the host.
            let isYoung = MonotonicTime.now.nanoseconds < watch.beganAt + Self.provenAfter
            if failure.isHosts, isYoung { noteHost(watch.host, failure: told.message) }
            return watchFailed(name, told)
        }
        let answer = Answer(watch.transfer, of: source.spec)
        noteHost(watch.host, failure: answer.overload)
        let isQuick = MonotonicTime.now.nanoseconds < watch.beganAt + PollSchedule.shortestPoll
        sources[name]?.watch.quickAnswers = isQuick ? source.watch.quickAnswers + 1 : 0
        switch client.heard(answer) {
        case .nothing: watchAgain(name, watch)
        case .changed:
            sources[name]?.watch.failures = 0
            sources[name]?.watch.hasToldOfChange = true
            noteChange(name)
        case .refused(let failure):
            if let rest = answer.retryAfter {
                let until = MonotonicTime.now.nanoseconds + min(rest, PollSchedule.longestRetryAfter)
                sources[name]?.notBefore = max(source.notBefore, until)
            }
            watchFailed(name, failure, hasNews: watch.transfer.status == 200)
        }
    }

    /// Nothing has happened. A source that does not wait, though it should, is asked once a second and no more.
    private func watchAgain(_ name: SourceName, _ watch: OpenWatch) {
        sources[name]?.watch.failures = 0
        beginWatch(name, at: max(MonotonicTime.now.nanoseconds, watch.beganAt + PollSchedule.shortestPoll))
    }

    private func watchFailed(_ name: SourceName, _ failure: StageFailure, hasNews: Bool = false) {
        guard let source = sources[name] else { return }
        let failures = source.watch.failures + 1
        sources[name]?.watch.isOpen = false
        sources[name]?.watch.failures = failures
        setWatchFacts(name) { $0.fail(failure) }
        let delay = PollSchedule.retryDelay(
            failures: failures,
            base: source.spec.retryBase,
            cap: source.spec.retryMax,
            retryAfter: nil,
            using: &random
        )
        // It is a retry like those of polls, and the host's burden.
        let now = MonotonicTime.now.nanoseconds
        let wait = hosts[source.host]?.takeRetry(at: now, longest: source.spec.poll.upperBound) ?? 0
        beginWatch(name, at: now + max(delay, wait))
        // What has changed while nobody listened, nobody will tell.
        let isCanceled = failure.code == StageFailure.watchCanceledCode
        if failures == 1 || hasNews || isCanceled { noteChange(name, isRumour: true) }
    }

    private func beginWatch(_ name: SourceName, at time: UInt64) {
        sources[name]?.watch.beginsAt = time
        setTimer(.watch(name, at: time), due: time)
    }

    /// Fetches what has changed: at once, but not more often than a few times a second, and after what is under way, which
    /// may have seen it or not.
    func noteChange(_ name: SourceName, isRumour: Bool = false) {
        guard let source = sources[name] else { return }
        if !isRumour { setWatchFacts(name) { $0.changes += 1 } }
        guard source.underWay.isEmpty else {
            sources[name]?.hasChangedMeanwhile = true
            return
        }
        let due = max(source.watch.nextChangeAt, source.notBefore)
        // A poll that is due sooner will do.
        guard source.pollAt > due else { return }
        sources[name]?.watch.lastChangeAt = due
        setPoll(name, at: due)
    }

    private func closeWatchFacts(_ name: SourceName) {
        fetcher.board.update(name) { $0.watch?.close() }
    }

    func setWatchFacts(_ name: SourceName, _ change: @Sendable (inout WatchFacts) -> Void) {
        fetcher.board.update(name) { facts in
            var watch = facts.watch ?? WatchFacts()
            change(&watch)
            facts.watch = watch
        }
    }
}

extension StageFailure {
    fileprivate static let tooManyWatches = StageFailure(
        .fetch,
        "too_many_watches",
        "\(FetchLoop.mostWatches) sources are watched already",
        hint: "this source is polled; up to 4096 are watched, and no more than a quarter of LimitNOFILE= of the unit"
    )
}
