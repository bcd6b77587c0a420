public import ConfigSnapshot
internal import Curl
internal import LockLadder

/// One request to each source by the agent's own rules, for whoever looks at a source without being the agent.
public enum SourceProbe {
    /// What a source answered.
    public struct Answer: Sendable {
        /// What the answer comes to; never "not modified", because nothing is asked conditionally.
        public var result: FetchResult
        /// How far the origin's clock is ahead of ours, in seconds; `nil` where it did not tell the time.
        public var clockAhead: ClosedRange<Int64>?

        public init(result: FetchResult, clockAhead: ClosedRange<Int64>? = nil) {
            self.result = result
            self.clockAhead = clockAhead
        }
    }

    /// Requests on the wire at once; the others wait their turn.
    private static let atOnce = 64

    private struct Job {
        let spec: SourceSpec
        let client: any SourceClient
        let request: SourceRequest
        let transfer: CurlTransfer
        let trace: Trace
        let redirectsLeft: Int
        let requestsLeft: Int
        /// When this request left, in seconds since 1970.
        let sentAt: Int64
    }

    /// Asks each source once, all at the same time. Blocks until all have answered or the time is over.
    ///
    /// - Parameter timeoutMilliseconds: bounds the whole; a source's own limit may be shorter.
    public static func ask(_ specs: [SourceSpec], timeoutMilliseconds: Int) -> [SourceName: Answer] {
        var run = Run(deadline: MonotonicTime.now.advanced(byNanoseconds: UInt64(timeoutMilliseconds) * 1_000_000))
        for spec in specs where spec.kind == .file {
            run.answers[spec.name] = Answer(result: read(spec, until: run.deadline))
        }
        let remote = specs.filter { $0.kind != .file }
        if !remote.isEmpty { run.perform(remote, timeoutMilliseconds: timeoutMilliseconds) }
        return run.answers
    }

    // MARK: Over the network

    /// One round of requests, on the calling thread.
    private struct Run {
        let deadline: MonotonicTime
        var answers: [SourceName: Answer] = [:]
        private var jobs: [ObjectIdentifier: Job] = [:]

        init(deadline: MonotonicTime) { self.deadline = deadline }

        mutating func perform(_ specs: [SourceSpec], timeoutMilliseconds: Int) {
            guard let multi = CurlMulti() else {
                for spec in specs { fail(spec, StageFailure(.fetch, "memory", "libcurl does not start")) }
                return
            }
            var waiting = specs[...]
            while true {
                while jobs.count < SourceProbe.atOnce, let spec = waiting.popFirst() {
                    guard let client = spec.makeClient() else { continue }
                    var trace = Trace()
                    trace[.requested] = MonotonicTime.now.nanoseconds
                    send(spec, client, client.ask(.none), trace, requestsLeft: 4, on: multi)
                }
                multi.perform()
                while let (transfer, failure) = multi.nextDone() { finish(transfer, failure, on: multi) }
                if jobs.isEmpty {
                    if waiting.isEmpty { return }
                    continue
                }
                let left = deadline.nanoseconds(since: .now)
                if left == 0 { break }
                multi.wait(milliseconds: min(1_000, Int(clamping: left / 1_000_000) + 1))
            }
            for job in jobs.values { multi.remove(job.transfer) }
            let message = "there was no whole answer after \(timeoutMilliseconds) ms"
            for spec in jobs.values.map(\.spec) + waiting { fail(spec, StageFailure(.fetch, "timeout", message)) }
        }

        private mutating func send(
            _ spec: SourceSpec,
            _ client: any SourceClient,
            _ wanted: SourceRequest,
            to redirected: (url: String, left: Int)? = nil,
            _ trace: Trace,
            requestsLeft: Int,
            on multi: CurlMulti
        ) {
            let url = redirected?.url ?? wanted.url
            let request = RequestBuilder.request(
                for: spec,
                wanted,
                url: url,
                isOwnOrigin: RequestBuilder.origin(of: url) == RequestBuilder.origin(of: wanted.url)
            )
            guard let transfer = CurlTransfer(request) else {
                return fail(spec, StageFailure(.fetch, "memory", "libcurl cannot set this request up"))
            }
            jobs[ObjectIdentifier(transfer)] = Job(
                spec: spec,
                client: client,
                request: wanted,
                transfer: transfer,
                trace: trace,
                redirectsLeft: redirected?.left ?? spec.maxRedirects,
                requestsLeft: requestsLeft,
                sentAt: SourceProbe.nowSeconds
            )
            multi.add(transfer)
        }

        private mutating func finish(_ transfer: CurlTransfer, _ failure: CurlTransfer.Failure?, on multi: CurlMulti) {
            guard let job = jobs.removeValue(forKey: ObjectIdentifier(transfer)) else { return }
            let ahead = SourceProbe.clockAhead(transfer, sentAt: job.sentAt)
            if let failure {
                let left = job.redirectsLeft
                return fail(job.spec, ConfigFetch.Answer.stageFailure(failure, of: job.spec, redirectsLeft: left))
            }
            let answer = ConfigFetch.Answer(transfer, of: job.spec)
            if let url = answer.redirect, case .get = job.request.method {
                guard job.redirectsLeft > 0 else { return fail(job.spec, .tooManyRedirects(job.spec)) }
                let next = (url, job.redirectsLeft - 1)
                return send(
                    job.spec,
                    job.client,
                    job.request,
                    to: next,
                    job.trace,
                    requestsLeft: job.requestsLeft,
                    on: multi
                )
            }
            var trace = job.trace
            let result: FetchResult
            switch job.client.understand(answer, to: job.request) {
            case .ask(let next):
                guard job.requestsLeft > 1 else {
                    return fail(job.spec, StageFailure(.fetch, "bad_response", "the source comes to no end"))
                }
                return send(job.spec, job.client, next, trace, requestsLeft: job.requestsLeft - 1, on: multi)
            case .document(let body, let validators, let contentType):
                trace[.received] = MonotonicTime.now.nanoseconds
                result = .document(
                    FetchedDocument(
                        source: job.spec.name,
                        body: body,
                        signature: job.request.signature,
                        validators: validators,
                        contentType: contentType,
                        trace: trace
                    )
                )
            case .notModified: result = .notModified(trace)
            case .failed(let failure, let retryAfter): result = .failed(failure, retryAfterNanoseconds: retryAfter)
            }
            answers[job.spec.name] = SourceProbe.Answer(result: result, clockAhead: ahead)
        }

        private mutating func fail(_ spec: SourceSpec, _ failure: StageFailure) {
            answers[spec.name] = Answer(result: .failed(failure, retryAfterNanoseconds: nil))
        }
    }

    private static var nowSeconds: Int64 { WallClock.nowNanoseconds / 1_000_000_000 }

    /// The origin's clock tells whole seconds, and told them at some time between the request and now.
    private static func clockAhead(_ transfer: CurlTransfer, sentAt: Int64) -> ClosedRange<Int64>? {
        guard let date = transfer.date("Date") else { return nil }
        // A cache's answer is older by as much as it says.
        let age = transfer.header("Age").flatMap { Int64($0) }.map { max(0, min($0, 1 << 32)) } ?? 0
        let least = date + age - nowSeconds - 1
        return least...max(least, date + age + 1 - sentAt)
    }

    /// Reads on a thread of its own, which is left alone when the file's mount hangs.
    private static func read(_ spec: SourceSpec, until deadline: MonotonicTime) -> FetchResult {
        var trace = Trace()
        trace[.requested] = MonotonicTime.now.nanoseconds
        let outcome = Found()
        let thread = NamedThread("agent-file") {
            let read = FileReader.read(spec, unless: nil)
            outcome.value.withLock { $0 = read }
        }
        guard thread?.join(until: deadline) == true, let read = outcome.value.withLock({ $0 }) else {
            return .failed(
                StageFailure(
                    .fetch,
                    "timeout",
                    "the file was not read in time",
                    hint: "see whether the file system it is on answers"
                ),
                retryAfterNanoseconds: nil
            )
        }
        switch read {
        case .read(let body, let signature, _):
            trace[.received] = MonotonicTime.now.nanoseconds
            return .document(
                FetchedDocument(
                    source: spec.name,
                    body: body,
                    signature: signature,
                    validators: .none,
                    contentType: nil,
                    trace: trace
                )
            )
        case .same: return .notModified(trace)
        case .failed(let failure): return .failed(failure, retryAfterNanoseconds: nil)
        }
    }

    private final class Found: Sendable {
        let value = Mutex<FileReader.Outcome?>("probe.file", nil)
    }
}
