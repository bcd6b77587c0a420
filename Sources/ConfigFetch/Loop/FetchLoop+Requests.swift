internal import ConfigSnapshot
internal import Curl
internal import LockLadder

/// Conversations with sources over the network.
extension FetchLoop {
    /// A request that is under way for a flight.
    struct Job {
        /// What stays the same over all requests of a conversation.
        struct Aim {
            let flight: Flight
            /// What it takes up.
            var slot: Waiting.Slot
            var host: String { slot.host }
            /// Which of the source's places is asked.
            let place: Int
            let trace: Trace
            /// How long the slowest answer of the conversation so far took to begin. Nanoseconds.
            var slowest: UInt64 = 0
        }

        let id: UInt64
        var aim: Aim
        let transfer: CurlTransfer
        let request: SourceRequest
        let redirectsLeft: Int
        let requestsLeft: Int
    }

    /// A conversation has this many requests at most, redirects not counted: a source that never comes to an end has not
    /// understood.
    private static let longestConversation = 4

    /// - Returns: whether the request is under way.
    func send(_ aim: Job.Aim, _ source: Source, _ request: SourceRequest) -> Bool {
        send(aim, source, request, to: request.url, redirectsLeft: source.spec.maxRedirects, Self.longestConversation)
    }

    private func send(
        _ aim: Job.Aim,
        _ source: Source,
        _ request: SourceRequest,
        to url: String,
        redirectsLeft: Int,
        _ requestsLeft: Int
    ) -> Bool {
        let isOwnOrigin = RequestBuilder.origin(of: url) == RequestBuilder.origin(of: request.url)
        let built = RequestBuilder.request(
            for: source.places[aim.place].spec,
            request,
            url: url,
            isOwnOrigin: isOwnOrigin
        )
        lastJob += 1
        guard let transfer = CurlTransfer(built) else {
            fail(aim.flight, source, StageFailure(.fetch, "memory", "libcurl cannot set this request up"))
            return false
        }
        jobs[ObjectIdentifier(transfer)] = Job(
            id: lastJob,
            aim: aim,
            transfer: transfer,
            request: request,
            redirectsLeft: redirectsLeft,
            requestsLeft: requestsLeft
        )
        multi.add(transfer)
        if source.places.count > 1 {
            limitSilence(of: transfer, lastJob, source, begun: aim.trace[.requested])
        }
        return true
    }

    func finishTransfers() {
        while let (transfer, failure) = multi.nextDone() {
            if let watch = watches.removeValue(forKey: ObjectIdentifier(transfer)) {
                watchEnded(watch, failure)
            } else if let probe = probes.removeValue(forKey: ObjectIdentifier(transfer)) {
                progress[probe.id] = nil
                finishProbe(probe, failure)
            } else if let job = jobs.removeValue(forKey: ObjectIdentifier(transfer)) {
                progress[job.id] = nil
                if !finish(job, failure) { admission.comeBack(job.aim.slot) }
            }
        }
    }

    /// - Returns: whether the job goes on, with another request.
    private func finish(_ job: Job, _ failure: CurlTransfer.Failure?) -> Bool {
        let flight = job.aim.flight
        // A plan without the source has broken its jobs off.
        guard let source = sources[flight.key] else { return false }
        let timings = job.transfer.timings
        fetcher.board.update(flight.key) { $0.timings.note(timings) }
        if let failure {
            let stageFailure = Answer.stageFailure(failure, of: source.spec, redirectsLeft: job.redirectsLeft)
            if failure.isHosts { noteHost(job.aim.host, failure: stageFailure.message) }
            failAtPlace(job, source, stageFailure)
            return false
        }
        let answer = Answer(job.transfer, of: source.spec)
        noteHost(job.aim.host, failure: answer.overload)
        var aim = job.aim
        aim.slowest = max(aim.slowest, timings.latency ?? 0)
        if let url = answer.redirect, case .get = job.request.method { return follow(job, aim, source, to: url) }
        return understand(answer, job, aim, source, timings)
    }

    private func understand(
        _ answer: Answer,
        _ job: Job,
        _ aim: Job.Aim,
        _ source: Source,
        _ timings: CurlTransfer.Timings
    ) -> Bool {
        let flight = job.aim.flight
        let version = source.spec.version
        switch source.places[job.aim.place].client.understand(answer, to: job.request) {
        case .ask(let next):
            guard job.requestsLeft > 1 else {
                failAtPlace(job, source, StageFailure(.fetch, "bad_response", "the source comes to no end"))
                return false
            }
            let redirects = source.spec.maxRedirects
            return send(aim, source, next, to: next.url, redirectsLeft: redirects, job.requestsLeft - 1)
        case .document(let body, let said, let contentType):
            var validators = said
            if job.aim.place > 0 { validators.mirror = source.places[job.aim.place].spec.mirrorDigest }
            if let failure = objection(to: body, validators, answer, job, source) {
                failAtPlace(job, source, failure)
                return false
            }
            var trace = job.aim.trace
            trace[.received] = MonotonicTime.now.nanoseconds
            let document = FetchedDocument(
                source: flight.key,
                body: body,
                signature: job.request.signature,
                validators: validators,
                contentType: contentType,
                trace: trace
            )
            noteVerdict(Self.verdict(timings, source, earlier: aim.slowest), of: job)
            fetcher.deliver(flight, .document(document), version: version)
        case .notModified:
            noteVerdict(Self.verdict(timings, source, earlier: aim.slowest), of: job)
            fetcher.deliver(flight, .notModified(job.aim.trace), version: version)
        case .failed(let failure, let retryAfter): failAtPlace(job, source, failure, retryAfter: retryAfter)
        }
        return false
    }

    /// Keeps in mind how a host has answered.
    func noteHost(_ host: String, failure: String?) {
        let now = MonotonicTime.now.nanoseconds
        var manners = hosts[host] ?? HostManners()
        let change =
            failure.map { manners.noteFailure($0, at: now) } ?? manners.noteAnswer(roomAtMost: Self.admitted.toOneHost)
        admission.setSuspect(failure != nil, host)
        hosts[host] = manners
        admission.setRoom(manners.room, for: host)
        switch change {
        case .closedOff:
            fetcher.notify(.hostSuspect(host, failures: manners.failuresInARow, last: manners.lastFailure))
            return
        case nil: return
        case .recovered: fetcher.notify(.hostRecovered(host))
        }
        // Those that have failed are asked soon, and not when their patience, which has grown, is over; but not at once.
        let waiting = sources.values.filter { $0.failures > 0 && $0.client != nil && $0.host == host }
        let spread = UInt64(waiting.count) * HostManners.retries.every / 10
        for source in waiting {
            let soon = now + UInt64.random(in: 0...max(spread, 1), using: &random)
            guard source.pollAt > soon, source.notBefore <= soon else { continue }
            sources[source.spec.name]?.hasRetry = true
            setPoll(source.spec.name, at: soon)
        }
    }

    private func follow(_ job: Job, _ aim: Job.Aim, _ source: Source, to url: String) -> Bool {
        guard job.redirectsLeft > 0 else {
            failAtPlace(job, source, .tooManyRedirects(source.spec))
            return false
        }
        return send(aim, source, job.request, to: url, redirectsLeft: job.redirectsLeft - 1, job.requestsLeft)
    }

    func cancelJob(_ flight: Flight) {
        guard let (id, job) = jobs.first(where: { $0.value.aim.flight == flight }) else { return }
        breakOff(id, job)
    }

    /// Takes the flights of a source off the wire.
    func breakOffJobs(_ name: SourceName) -> [Flight] {
        let broken = jobs.filter { $0.value.aim.flight.key == name }
        for (id, job) in broken { breakOff(id, job) }
        return broken.values.map(\.aim.flight)
    }

    private func breakOff(_ id: ObjectIdentifier, _ job: Job) {
        jobs[id] = nil
        progress[job.id] = nil
        multi.remove(job.transfer)
        admission.comeBack(job.aim.slot)
    }
}

extension CurlTransfer.Failure {
    /// Whether it says that the host is not well, and not that something is wrong with this request or answer.
    var isHosts: Bool {
        switch kind {
        case .resolve, .connect, .timeout, .tls, .emptyReply: true
        case .certificate, .bodyTooLarge, .headersTooLarge, .truncated, .encoding, .addressRefused, .badResponse,
            .memory,
            .other:
            false
        }
    }
}

extension StageFailure {
    /// The host has failed too often to be asked right now.
    static func hostDown(_ host: String, _ manners: HostManners?) -> StageFailure {
        StageFailure(
            .fetch,
            "host_down",
            "not asked: its host has failed \(manners?.failuresInARow ?? 0) times in a row, last: \(manners?.lastFailure ?? "")",
            hint: "it is tried every few seconds; see whether \(host) answers"
        )
    }

    static func tooManyRedirects(_ spec: SourceSpec) -> StageFailure {
        StageFailure(
            .fetch,
            "redirect",
            spec.maxRedirects == 0
                ? "the origin redirects, and redirects are not allowed"
                : "the origin redirects more than \(spec.maxRedirects) times",
            hint: "point 'url' at the final address, or raise 'max_redirects' of source '\(spec.name)'"
        )
    }
}
