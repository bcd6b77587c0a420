internal import ConfigSnapshot

/// A document at a URL, asked for conditionally. Where a longest wait is configured, also a long poll as the Open Policy
/// Agent's bundle servers speak it: `Prefer: wait=N`, answered when there is something newer or the wait is over.
final class HTTPSource: SourceClient {
    /// What a server answers with that knows about long polling.
    private static let longPollType = "application/vnd.openpolicyagent.bundles"

    private let spec: SourceSpec
    /// Of what came last, whether it was accepted or not: what is already known is no news.
    private var lastReceived: Validators?
    private(set) var rest: Rest?

    init(_ spec: SourceSpec) { self.spec = spec }

    static func host(of spec: SourceSpec) -> String { spec.unixSocket ?? URLParts(spec.url).origin }

    func ask(_ validators: Validators) -> SourceRequest {
        var request = SourceRequest(spec.url)
        request.headers = Self.conditions(validators) + spec.auth.httpHeaders
        return request
    }

    private static func conditions(_ validators: Validators) -> [(name: String, value: String)] {
        if let etag = validators.etag { return [("If-None-Match", etag)] }
        return validators.lastModified.map { [("If-Modified-Since", $0)] } ?? []
    }

    func understand(_ answer: Answer, to request: SourceRequest) -> Understanding {
        switch answer.status {
        case 200:
            let validators = Validators(
                etag: answer.header("ETag").flatMap { $0.isEmpty ? nil : $0 },
                lastModified: answer.header("Last-Modified"),
                areYoung: answer.isYoung
            )
            lastReceived = validators
            rest = Self.maxAge(answer)
            return answer.document(validators, contentType: answer.contentType)
        case 304 where !request.headers.filter({ $0.name.hasPrefix("If-") }).isEmpty:
            rest = Self.maxAge(answer)
            if lastReceived == nil, let etag = request.headers.first(where: { $0.name == "If-None-Match" })?.value {
                lastReceived = Validators(etag: etag)
            }
            return .notModified
        case 304 where request.step == 0:
            // Nothing was asked that this could answer: a cache in between may be confused. Once more, past all of them.
            var again = ask(.none)
            again.headers.append(("Cache-Control", "no-cache"))
            again.step = 1
            return .ask(again)
        default: return answer.statusFailure
        }
    }

    /// How long the answer may be reused, by the origin's own word.
    private static func maxAge(_ answer: Answer) -> Rest? {
        guard let control = answer.header("Cache-Control")?.lowercased() else { return nil }
        for directive in control.split(separator: ",") {
            let parts = directive.split(separator: "=", maxSplits: 1).map { $0.filter { !$0.isWhitespace } }
            guard parts.count == 2, parts[0] == "max-age", let seconds = UInt32(parts[1]), seconds > 0 else { continue }
            return Rest(nanoseconds: UInt64(seconds) * 1_000_000_000)
        }
        return nil
    }

    // MARK: Long polling

    func watch() -> SourceRequest? {
        guard let wait = spec.watchWait, let etag = lastReceived?.etag else { return nil }
        let seconds = max(1, wait / 1_000_000_000)
        var request = SourceRequest(spec.url)
        request.headers =
            [("If-None-Match", etag), ("Prefer", "modes=snapshot;wait=\(seconds)")] + spec.auth.httpHeaders
        request.timeoutMilliseconds = spec.watchTimeoutMilliseconds
        request.needsHeadOnly = true
        return request
    }

    var unwatchable: StageFailure? {
        guard spec.watchWait != nil, let lastReceived, lastReceived.etag == nil else { return nil }
        return noLongPoll("the origin sends no ETag, so there is nothing to say what is to be waited for")
    }

    func heard(_ answer: Answer) -> News {
        switch answer.status {
        case 200:
            let isNews = answer.header("ETag") != lastReceived?.etag
            return refusal(answer) ?? (isNews ? .changed : .nothing)
        case 304: return refusal(answer) ?? .nothing
        default:
            guard case .failed(let failure, _) = answer.statusFailure else { return .nothing }
            return .refused(failure)
        }
    }

    /// A server that has not waited and does not say that it could does not know what was asked of it.
    private func refusal(_ answer: Answer) -> News? {
        if answer.contentType == Self.longPollType { return nil }
        if answer.header("Preference-Applied")?.lowercased().contains("wait") == true { return nil }
        guard answer.took < (spec.watchWait ?? 0) / 2 else { return nil }
        return .refused(
            noLongPoll("the origin does not wait: it answers at once, and does not say that it knows 'Prefer: wait'")
        )
    }

    private func noLongPoll(_ words: String) -> StageFailure {
        let hint = "remove 'poll.wait' of source '\(spec.name)': it is polled as before"
        return StageFailure(.fetch, "no_long_poll", words, hint: hint)
    }
}
