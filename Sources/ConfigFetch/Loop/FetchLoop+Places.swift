internal import ConfigSnapshot
internal import Curl
internal import LockLadder

/// Sources that have several places.
extension FetchLoop {
    static func verdict(_ timings: CurlTransfer.Timings, _ source: Source) -> Failover.Verdict {
        (timings.firstByte ?? 0) > source.spec.maxLatency ? .slow : .good
    }

    /// A request has failed, at the place that it was sent to.
    func failAtPlace(_ job: Job, _ source: Source, _ failure: StageFailure, retryAfter: UInt64? = nil) {
        noteVerdict(.failed, of: job, because: failure.message)
        // A place that wants to be left alone for longer is not asked a second time before another one is.
        if (retryAfter ?? 0) > Failover.probing { noteVerdict(.failed, of: job, because: failure.message) }
        fail(job.aim.flight, source, failure, retryAfter: retryAfter)
    }

    func noteVerdict(_ verdict: Failover.Verdict, of job: Job, because reason: String = "it answers too slowly") {
        let name = job.aim.flight.key
        guard sources[name]?.failover.active == job.aim.place else { return }
        noteVerdict(
            verdict,
            of: name,
            latency: verdict == .failed ? nil : job.transfer.timings.firstByte,
            because: reason
        )
    }

    func noteVerdict(
        _ verdict: Failover.Verdict,
        of name: SourceName,
        latency: UInt64? = nil,
        because reason: String
    ) {
        guard sources[name].map({ $0.places.count > 1 }) == true else { return }
        if let move = sources[name]?.failover.note(verdict, latency: latency) { moved(name, move, because: reason) }
    }

    private func moved(_ name: SourceName, _ move: Failover.Move, because reason: String) {
        guard let source = sources[name] else { return }
        endWatch(name)
        sources[name]?.hasMoved = true
        // The poll comes with the outcome of the flight that is under way, if there is one.
        if source.underWay.isEmpty {
            setPoll(name, at: MonotonicTime.now.nanoseconds)
        } else {
            sources[name]?.isMoving = true
        }
        let from = source.places[move.from].spec.redactedURL
        let to = source.places[move.to].spec.redactedURL
        fetcher.board.update(name) {
            $0.place = move.to
            $0.moves += 1
        }
        if move.isReturn, !source.spec.prefersQuickest {
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
        _ aim: Job.Aim,
        _ source: Source
    ) -> StageFailure? {
        guard source.places.count > 1 else { return nil }
        let document = Self.document(body, validators, answer, place: aim.place)
        let verdict = source.memory.judge(document)
        if verdict == .fine {
            underJudgement[aim.flight] = document
            return nil
        }
        let here = source.places[aim.place].spec.redactedURL
        guard case .disagrees(let other) = verdict else {
            return StageFailure(
                .fetch,
                "older",
                "\(here) has an older document than the one in use",
                hint: "nothing has to be done if it is a mirror that lags; what is in use stays in use"
            )
        }
        let there = source.places[other].spec.redactedURL
        fetcher.notify(.disagreement(source.spec.name, there, here))
        return StageFailure(
            .fetch,
            "disagreement",
            "\(here) and \(there) give different documents under the same ETag",
            hint: "one of them is wrong; what is in use stays in use"
        )
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
            etag: validators.etag,
            place: place
        )
    }

    /// A place that has not begun to answer is given up, unless the others have been tried in vain.
    func limitSilence(of transfer: CurlTransfer, _ id: UInt64, _ source: Source) {
        if source.failover.isExhausted { return }
        let limit = max(Failover.longestSilence, 2 * source.spec.maxLatency)
        silent[id] = ObjectIdentifier(transfer)
        timers.insert(.silent(job: id), due: MonotonicTime.now.nanoseconds + limit)
    }

    func giveUpSilent(_ id: UInt64) {
        guard let key = silent.removeValue(forKey: id) else { return }
        if let probe = probes[key], probe.transfer.status == 0 {
            probes[key] = nil
            multi.remove(probe.transfer)
            if let host = sources[probe.source]?.places[probe.place].spec.host {
                noteHost(host, failure: "it does not begin to answer")
            }
            probed(probe, .failed)
        }
        guard let job = jobs[key], job.transfer.status == 0 else { return }
        jobs[key] = nil
        multi.remove(job.transfer)
        admission.comeBack(from: job.aim.host)
        guard let source = sources[job.aim.flight.key] else { return }
        let message = "\(source.places[job.aim.place].spec.redactedURL) does not begin to answer"
        noteHost(job.aim.host, failure: message)
        failAtPlace(job, source, StageFailure(.fetch, "timeout", message, hint: "its other places are tried"))
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
    private static let mostProbes = 16

    func scheduleProbe(_ name: SourceName) {
        guard let source = sources[name], source.failover.hasProbes, !source.sleep.isAsleep else { return }
        // Sources that have left a place together do not come to look at it together.
        let every = source.failover.probeInterval(poll: source.spec.poll.lowerBound)
        let due = MonotonicTime.now.nanoseconds + UInt64.random(in: (every - every / 5)...every, using: &random)
        // A probe that was scheduled before is not made.
        sources[name]?.probeAt = due
        timers.insert(.probe(name, at: due), due: due)
    }

    /// The probe's time has come.
    func probe(_ name: SourceName, at time: UInt64) {
        guard sources[name]?.probeAt == time, let place = sources[name]?.failover.nextProbe(),
            let source = sources[name]
        else { return }
        let host = source.places[place].spec.host
        let now = MonotonicTime.now.nanoseconds
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
        limitSilence(of: transfer, lastJob, source)
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
            probed(probe, verdict(on: Self.document(body, validators, answer, place: place), of: probe, source))
        case .notModified: probed(probe, Self.verdict(probe.transfer.timings, source))
        case .failed: probed(probe, .failed)
        }
    }

    private func verdict(on document: RevisionMemory.Document, of probe: Probe, _ source: Source) -> Failover.Verdict {
        let judgement = source.memory.judge(document)
        if case .disagrees(let other) = judgement {
            let there = source.places[other].spec.redactedURL
            fetcher.notify(.disagreement(source.spec.name, there, source.places[probe.place].spec.redactedURL))
        }
        // A place is not left for one that has another document, and may lag or be wrong, while it does well itself.
        let isWanted = !source.spec.prefersQuickest || document.hash == source.memory.current?.hash
        guard judgement == .fine, isWanted else { return .failed }
        return Self.verdict(probe.transfer.timings, source)
    }

    func breakOffProbe(_ name: SourceName) {
        for (key, probe) in probes where probe.source == name {
            probes[key] = nil
            silent[probe.id] = nil
            multi.remove(probe.transfer)
        }
    }

    private func probed(_ probe: Probe, _ verdict: Failover.Verdict) {
        guard sources[probe.source]?.spec.version == probe.version else { return }
        let latency = verdict == .failed ? nil : probe.transfer.timings.firstByte
        if let move = sources[probe.source]?.failover.noteProbe(verdict, of: probe.place, latency: latency) {
            moved(probe.source, move, because: "the other one answers sooner")
        } else {
            scheduleProbe(probe.source)
        }
    }
}
