internal import ConfigSnapshot
internal import ConfigTrust
internal import Curl
internal import LockLadder

/// Sources that have several places.
extension FetchLoop {
    /// - Parameter earlier: how long the slowest answer took that came before this one in the same conversation.
    static func verdict(
        _ timings: CurlTransfer.Timings,
        _ source: Source,
        earlier: UInt64 = 0
    ) -> Failover.Verdict {
        if max(timings.latency ?? 0, earlier) > source.spec.maxLatency { return .slow }
        // Where all have been tried in vain, one that takes as long as it likes is not good for it.
        let limit = source.failover.longestSilence
        return source.failover.isExhausted && timings.total > limit + limit / 2 ? .slow : .good
    }

    /// A request has failed, at the place that it was sent to.
    func failAtPlace(_ job: Job, _ source: Source, _ failure: StageFailure, retryAfter: UInt64? = nil) {
        rest(source, job.aim.place, for: retryAfter)
        // A place that wants to be left alone for longer is not asked a second time before another one is.
        let isResting = (retryAfter ?? 0) > Failover.probing
        noteVerdict(isResting ? .unavailable : .failed, of: job, because: failure.message)
        fail(job.aim.flight, source, failure, retryAfter: retryAfter)
    }

    private func rest(_ source: Source, _ place: Int, for time: UInt64?) {
        guard source.places.count > 1, let time else { return }
        let until = MonotonicTime.now.nanoseconds + min(time, PollSchedule.longestRetryAfter)
        sources[source.spec.name]?.failover.rest(place, until: until)
    }

    func noteVerdict(_ verdict: Failover.Verdict, of job: Job, because reason: String = "it answers too slowly") {
        let name = job.aim.flight.key
        guard sources[name]?.failover.active == job.aim.place else { return }
        noteVerdict(
            verdict,
            of: name,
            latency: verdict.isAnswer ? job.transfer.timings.latency : nil,
            begun: job.aim.trace[.requested],
            because: reason
        )
    }

    func noteVerdict(
        _ verdict: Failover.Verdict,
        of name: SourceName,
        latency: UInt64? = nil,
        begun: UInt64? = nil,
        because reason: String
    ) {
        guard sources[name].map({ $0.places.count > 1 }) == true else { return }
        let now = MonotonicTime.now.nanoseconds
        let hadProbes = sources[name]?.failover.hasProbes
        if let move = sources[name]?.failover.note(verdict, latency: latency, at: now, begun: begun) {
            moved(name, move, because: reason)
        } else if hadProbes == false {
            scheduleProbe(name)
        }
    }

    /// The time for the move is over, and nothing has been sent yet: the request waited for its turn.
    func leaveIfTimeIsOver(_ name: SourceName, at now: UInt64) {
        guard let moveBy = sources[name]?.failover.moveBy, moveBy <= now else { return }
        noteVerdict(.failed, of: name, because: "it answers too slowly")
        // The flight that waits is sent where the source is asked now.
        sources[name]?.isMoving = false
    }

    private func moved(_ name: SourceName, _ move: Failover.Move, because reason: String) {
        guard let source = sources[name] else { return }
        endWatch(name)
        sources[name]?.hasMoved = true
        sources[name]?.isNewHere = true
        // The poll comes with the outcome of the flight that is under way, if there is one.
        if source.underWay.isEmpty {
            setPoll(name, at: max(MonotonicTime.now.nanoseconds, source.failover.activeRests))
        } else {
            sources[name]?.isMoving = true
        }
        let from = source.places[move.from].spec.redactedURL
        let to = source.places[move.to].spec.redactedURL
        fetcher.board.update(name) {
            $0.place = move.to
            $0.moves += 1
        }
        if move.isReturn, move.to == 0, !source.spec.prefersQuickest {
            fetcher.notify(.returned(name, from: from, to: to))
        } else {
            fetcher.notify(.moved(name, from: from, to: to, because: reason))
        }
        scheduleProbe(name)
    }

    /// Why a document is not to be taken over from this place.
    func objection(
        to body: [UInt8],
        _ validators: Validators,
        _ answer: Answer,
        _ job: Job,
        _ source: Source
    ) -> StageFailure? {
        guard source.places.count > 1 else { return nil }
        let document = Self.document(body, validators, answer, place: job.aim.place)
        let verdict = judge(document, body, job.request.signature, source)
        if verdict == .fine {
            underJudgement[job.aim.flight] = document
            return nil
        }
        let here = source.places[job.aim.place].spec.redactedURL
        guard case .disagrees(let other) = verdict else {
            return StageFailure(
                .fetch,
                "older",
                "\(here) has an older document than the one in use",
                hint: "nothing has to be done if it is a mirror that lags; what is in use stays in use"
            )
        }
        let there = Self.name(other, of: source)
        return StageFailure(
            .fetch,
            "disagreement",
            "\(here) and \(there) give different documents as one revision: the same ETag, or revision of the same cluster",
            hint: "one of them is wrong; what is in use stays in use"
        )
    }

    private func judge(
        _ document: RevisionMemory.Document,
        _ body: [UInt8],
        _ signature: [UInt8]?,
        _ source: Source
    ) -> RevisionMemory.Verdict {
        var memory = source.memory
        if let hash = document.hash { memory.recognise(hash) { Self.identity(body, signature) } }
        sources[source.spec.name]?.memory = memory
        let verdict = memory.judge(document)
        // The same document is found again with each probe, and told of once.
        if case .disagrees(let other) = verdict, source.disagreement != document.hash {
            sources[source.spec.name]?.disagreement = document.hash
            fetcher.board.update(source.spec.name) { $0.disagreements += 1 }
            let here = Self.name(document.place, of: source)
            fetcher.notify(.disagreement(source.spec.name, Self.name(other, of: source), here))
        }
        return verdict
    }

    /// - Parameter signature: what came beside the document; else one may stand before it.
    private static func identity(_ body: [UInt8], _ signature: [UInt8]?) -> RevisionMemory.Identity? {
        if signature == nil, let (carried, document) = try? SignedDocument.split(body), let carried {
            return ContentDigest(of: Array(document)).map { .init(digest: $0, signature: Array(carried)) }
        }
        return ContentDigest(of: body).map { .init(digest: $0, signature: signature) }
    }

    private static func name(_ place: Int?, of source: Source) -> String {
        place.map { source.places[$0].spec.redactedURL } ?? "a mirror that it had before"
    }

    private static func document(
        _ body: [UInt8],
        _ validators: Validators,
        _ answer: Answer,
        place: Int
    ) -> RevisionMemory.Document {
        var hasher = Hasher()
        body.withUnsafeBytes { hasher.combine(bytes: $0) }
        let changedAt = answer.date("Last-Modified")
        return RevisionMemory.Document(
            hash: hasher.finalize(),
            changedAt: changedAt,
            order: validators.order,
            etag: validators.name,
            place: place
        )
    }

    /// A request to one of several places that has to get on, or another place is tried.
    struct Progress {
        let transfer: ObjectIdentifier
        /// When its conversation began; nanoseconds of the monotonic clock, as are all times here.
        let begun: UInt64
        /// When the request itself was sent.
        let sent: UInt64
        /// For how long nothing may come.
        let limit: UInt64
        /// When it is over, whatever has come: the place has answered badly before, or slowly now.
        var end: UInt64
        /// How much of the body had come when it was looked at last, and when; `nil` before the answer has begun.
        var last: (received: Int, at: UInt64)?

        /// What has to come between two looks: less is no way to bring a document, only to look alive.
        static let least = 1_024

        /// Whether the answer has begun, or goes on since the last look.
        func isAlive(_ transfer: CurlTransfer) -> Bool {
            guard let last else { return transfer.status != 0 }
            return transfer.receivedLength >= last.received + Self.least
        }

        /// Whether it gets on at a pace that brings the whole document in time.
        func isAdvancing(_ transfer: CurlTransfer, at now: UInt64, timeout: UInt64) -> Bool {
            guard isAlive(transfer), now < end else { return false }
            guard let last, now > last.at else { return true }
            let whole = transfer.receivedLength
            // Of a body of any length nobody can say whether it will be whole in time.
            guard let length = transfer.announcedLength else { return now < begun + Failover.longestMove }
            let pace = Double(whole - last.received) / Double(now - last.at)
            return Double(now - begun) + Double(max(0, length - whole)) / pace <= Double(timeout)
        }
    }

    /// A place that does not begin to answer, or does not go on, is given up, unless the others have been tried in vain.
    ///
    /// - Parameter begun: when the conversation began; now for a request that begins one.
    func limitSilence(
        of transfer: CurlTransfer,
        _ id: UInt64,
        _ source: Source,
        begun: UInt64? = nil,
        isProbe: Bool = false
    ) {
        if source.failover.isExhausted, !isProbe { return }
        let now = MonotonicTime.now.nanoseconds
        let limit = source.failover.longestSilence
        let begun = begun ?? now
        let end = isProbe ? .max : source.failover.moveBy ?? .max
        progress[id] = Progress(transfer: ObjectIdentifier(transfer), begun: begun, sent: now, limit: limit, end: end)
        timers.insert(.silent(job: id), due: min(begun + limit, end))
    }

    func giveUpSilent(_ id: UInt64) {
        guard let known = progress[id],
            let transfer = (jobs[known.transfer]?.transfer ?? probes[known.transfer]?.transfer),
            let name = jobs[known.transfer]?.aim.flight.key ?? probes[known.transfer]?.source,
            let source = sources[name]
        else { return }
        let now = MonotonicTime.now.nanoseconds
        let timeout = UInt64(source.spec.timeoutMilliseconds) * 1_000_000
        if known.isAdvancing(transfer, at: now, timeout: timeout) {
            return lookAgain(id, known, transfer, source, at: now)
        }
        progress[id] = nil
        let hasBegun = transfer.status != 0
        let words = hasBegun ? "has begun to answer and does not go on, or too slowly" : "does not begin to answer"
        // Where another place need only be asked sooner, that is no sign that the host is not well.
        let isSilent = !known.isAlive(transfer) && now >= known.sent + known.limit
        if let probe = probes.removeValue(forKey: known.transfer) {
            multi.remove(probe.transfer)
            if isSilent { noteHost(source.places[probe.place].spec.host, failure: "it \(words)") }
            probed(probe, .failed)
        }
        guard let job = jobs.removeValue(forKey: known.transfer) else { return }
        multi.remove(job.transfer)
        admission.comeBack(job.aim.slot)
        let message = "\(source.places[job.aim.place].spec.redactedURL) \(words)"
        if isSilent { noteHost(job.aim.host, failure: message) }
        failAtPlace(job, source, StageFailure(.fetch, "timeout", message, hint: "its other places are tried"))
    }

    private func lookAgain(
        _ id: UInt64,
        _ known: Progress,
        _ transfer: CurlTransfer,
        _ source: Source,
        at now: UInt64
    ) {
        var next = known
        next.last = (transfer.receivedLength, now)
        var wait = known.limit
        if known.last == nil {
            // The first look at the body comes so soon that the whole move stays a matter of seconds.
            let left = known.begun + Failover.longestMove > now ? known.begun + Failover.longestMove - now : 0
            wait = min(known.limit / 2, max(left, Failover.probing))
            if (transfer.timings.latency ?? 0) > source.spec.maxLatency {
                next.end = min(known.end, known.begun + Failover.longestMove)
            }
        }
        progress[id] = next
        timers.insert(.silent(job: id), due: min(now + wait, next.end))
    }

    // MARK: Probes

    /// A request to one of a source's places while another one is asked. Whatever it brings is only looked at.
    struct Probe {
        let id: UInt64
        let source: SourceName
        let place: Int
        let version: UInt64
        let transfer: CurlTransfer
        let request: SourceRequest
        let redirectsLeft: Int
        let requestsLeft: Int
    }

    /// Probes under way at once, whatever they are of.
    static let mostProbes = 16

    func scheduleProbe(_ name: SourceName) {
        guard let source = sources[name], source.failover.hasProbes, !source.sleep.isAsleep else { return }
        // Sources that have left a place together do not come to look at it together.
        let every = source.failover.probeInterval(poll: source.spec.poll.lowerBound)
        let drawn = UInt64.random(in: (every - every / 5)...every, using: &random)
        let due = max(MonotonicTime.now.nanoseconds, source.failover.firstProbeAt) + drawn
        // A probe that was scheduled before is not made.
        sources[name]?.probeAt = due
        timers.insert(.probe(name, at: due), due: due)
    }

    /// The probe's time has come.
    func probe(_ name: SourceName, at time: UInt64) {
        let now = MonotonicTime.now.nanoseconds
        guard sources[name]?.probeAt == time else { return }
        guard !isFrozen else { return scheduleProbe(name) }
        guard let place = sources[name]?.failover.nextProbe(at: now), let source = sources[name] else {
            return scheduleProbe(name)
        }
        let host = source.places[place].spec.host
        guard probes.count < Self.mostProbes, hosts[host, default: HostManners()].mayAsk(at: now) else {
            return scheduleProbe(name)
        }
        let request = source.places[place].client.ask(.none)
        sendProbe(source, place, request, to: request.url, redirectsLeft: source.spec.maxRedirects, requestsLeft: 4)
    }

    private func sendProbe(
        _ source: Source,
        _ place: Int,
        _ request: SourceRequest,
        to url: String,
        redirectsLeft: Int,
        requestsLeft: Int
    ) {
        let isOwnOrigin = RequestBuilder.origin(of: url) == RequestBuilder.origin(of: request.url)
        let built = RequestBuilder.request(for: source.places[place].spec, request, url: url, isOwnOrigin: isOwnOrigin)
        guard let transfer = CurlTransfer(built) else { return scheduleProbe(source.spec.name) }
        lastJob += 1
        probes[ObjectIdentifier(transfer)] = Probe(
            id: lastJob,
            source: source.spec.name,
            place: place,
            version: source.spec.version,
            transfer: transfer,
            request: request,
            redirectsLeft: redirectsLeft,
            requestsLeft: requestsLeft
        )
        multi.add(transfer)
        limitSilence(of: transfer, lastJob, source, isProbe: true)
    }

    func finishProbe(_ probe: Probe, _ failure: CurlTransfer.Failure?) {
        guard let source = sources[probe.source], source.spec.version == probe.version else { return }
        let place = probe.place
        let host = source.places[place].spec.host
        if let failure {
            let told = Answer.stageFailure(failure, of: source.spec, redirectsLeft: probe.redirectsLeft)
            if failure.isHosts { noteHost(host, failure: told.message) }
            return probed(probe, .failed)
        }
        let answer = Answer(probe.transfer, of: source.spec)
        noteHost(host, failure: answer.overload)
        if let url = answer.redirect, case .get = probe.request.method {
            guard probe.redirectsLeft > 0 else { return probed(probe, .failed) }
            let left = probe.redirectsLeft - 1
            return sendProbe(
                source,
                place,
                probe.request,
                to: url,
                redirectsLeft: left,
                requestsLeft: probe.requestsLeft
            )
        }
        switch source.places[place].client.understand(answer, to: probe.request) {
        case .ask(let next):
            guard probe.requestsLeft > 1 else { return probed(probe, .failed) }
            let redirects = source.spec.maxRedirects
            let left = probe.requestsLeft - 1
            sendProbe(source, place, next, to: next.url, redirectsLeft: redirects, requestsLeft: left)
        case .document(let body, let validators, _):
            let document = Self.document(body, validators, answer, place: place)
            let judgement = judge(document, body, probe.request.signature, source)
            let isInUse = document.hash == sources[probe.source]?.memory.current?.hash
            probed(probe, verdict(judgement, isInUse: isInUse, of: probe, source))
        case .notModified: probed(probe, Self.verdict(probe.transfer.timings, source))
        case .failed(_, let retryAfter):
            rest(source, place, for: retryAfter)
            probed(probe, .failed)
        }
    }

    private func verdict(
        _ judgement: RevisionMemory.Verdict,
        isInUse: Bool,
        of probe: Probe,
        _ source: Source
    ) -> Failover.Verdict {
        // A place is not left for one that has another document, and may lag or be wrong, while it does well itself.
        let isWanted = !source.spec.prefersQuickest || isInUse
        guard judgement == .fine, isWanted else { return .failed }
        return Self.verdict(probe.transfer.timings, source)
    }

    func breakOffProbe(_ name: SourceName) {
        for (key, probe) in probes where probe.source == name {
            probes[key] = nil
            progress[probe.id] = nil
            multi.remove(probe.transfer)
        }
    }

    private func probed(_ probe: Probe, _ verdict: Failover.Verdict) {
        guard sources[probe.source]?.spec.version == probe.version else { return }
        let latency = verdict.isAnswer ? probe.transfer.timings.latency : nil
        if let move = sources[probe.source]?.failover.noteProbe(verdict, of: probe.place, latency: latency) {
            moved(probe.source, move, because: "the other one answers better")
        } else {
            scheduleProbe(probe.source)
        }
    }
}
