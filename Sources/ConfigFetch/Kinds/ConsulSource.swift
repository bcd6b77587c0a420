internal import ConfigSnapshot

/// A key of Consul's store, or all keys below a prefix; watched by blocking queries.
///
/// Source: https://developer.hashicorp.com/consul/api-docs/features/blocking. By its rules an answer is no proof of a
/// change, the index may go backwards (then it is waited from there), and is never less than 1.
final class ConsulSource: SourceClient {
    private let spec: SourceSpec
    private let url: KeyURL
    /// The index of the last answer.
    private var index: UInt64?

    init(_ spec: SourceSpec) {
        self.spec = spec
        url = KeyURL(spec.url)
    }

    private func request(_ extra: [String]) -> SourceRequest {
        var parameters = [url.isPrefix ? "recurse=true" : "raw=true"] + extra
        for name in ["dc", "ns", "partition"] {
            if let value = url.query[name] { parameters.append("\(name)=\(PercentEncoding.encode(value))") }
        }
        let path = url.key.split(separator: "/", omittingEmptySubsequences: false).map {
            PercentEncoding.encode(String($0))
        }
        var request = SourceRequest(
            "\(url.endpoint)/v1/kv/\(path.joined(separator: "/"))?\(parameters.joined(separator: "&"))"
        )
        if let token = spec.auth.token { request.headers = [("X-Consul-Token", token)] }
        return request
    }

    func ask(_ validators: Validators) -> SourceRequest { request([]) }

    func understand(_ answer: Answer, to request: SourceRequest) -> Understanding {
        note(answer)
        guard answer.status == 200 else {
            guard answer.status == 404 else { return answer.statusFailure }
            return .failed(
                StageFailure(
                    .fetch,
                    "not_found",
                    url.isPrefix ? "there is no key below the prefix" : "there is no such key",
                    hint: "write it, or mend 'url' of source '\(spec.name)'; an empty configuration is never taken over"
                )
            )
        }
        do throws(StageFailure) {
            let body = try answer.body()
            guard url.isPrefix else { return .document(body: body, .none, contentType: nil) }
            return .document(body: try tree(body), .none, contentType: nil)
        } catch {
            return .failed(error)
        }
    }

    private func tree(_ body: [UInt8]) throws(StageFailure) -> [UInt8] {
        // A place for the document that is made of it.
        guard MemoryRoom.has(body.count) else { throw .noMemory(.fetch, bytes: body.count) }
        var tree = KeyTree<Range<Int>>()
        var walk = JSONWalk(body)
        let prefix = url.key.utf8.count
        try walk.elements { walk throws(StageFailure) in
            var key: [UInt8]?
            var value: Range<Int>?
            try walk.members { walk, name throws(StageFailure) in
                if name.elementsEqual("Key".utf8) {
                    key = try walk.text()
                } else if name.elementsEqual("Value".utf8) {
                    value = try walk.rawText()
                } else {
                    try walk.skip()
                }
            }
            guard let key else { throw JSONWalk.notUnderstood }
            try tree.insert(key.dropFirst(prefix), value ?? 0..<0)
        }
        try walk.end()
        guard tree.count > 0 else { throw .onlyDirectories }
        return try tree.json(size: body.count) { range throws(StageFailure) in
            guard let value = APIJSON.bytes(ofBase64: body[range]) else {
                throw StageFailure(.fetch, "bad_response", "Consul sent a value that is not base64")
            }
            return value
        }
    }

    /// Whether an answer has come: until then nothing is to be said of its index.
    private var hasAnswered = false

    var unwatchable: StageFailure? {
        guard hasAnswered, index == nil else { return nil }
        return StageFailure(
            .fetch,
            "not_watchable",
            "Consul's answers have no X-Consul-Index to wait from",
            hint: "see whether something in between takes headers away; until then the source is polled"
        )
    }

    private func note(_ answer: Answer) {
        hasAnswered = true
        guard let said = answer.header("X-Consul-Index").flatMap({ UInt64($0) }), said > 0 else {
            index = nil
            return
        }
        index = said
    }

    // MARK: The watch

    func watch() -> SourceRequest? {
        guard let index else { return nil }
        // Consul waits ten minutes at most, and up to a sixteenth longer than asked.
        let seconds = max(1, min(spec.watchWait ?? 300_000_000_000, 600_000_000_000) / 1_000_000_000)
        var request = request(["index=\(index)", "wait=\(seconds)s"])
        request.timeoutMilliseconds = spec.watchTimeoutMilliseconds
        request.needsHeadOnly = true
        return request
    }

    func heard(_ answer: Answer) -> News {
        guard answer.status == 200 || answer.status == 404 else {
            guard case .failed(let failure, _) = answer.statusFailure else { return .nothing }
            return .refused(failure)
        }
        let before = index
        note(answer)
        guard let index else {
            return .refused(StageFailure(.fetch, "bad_response", "Consul's answer has no X-Consul-Index to wait from"))
        }
        // Backwards: the store was restored, and nobody knows what has changed.
        return index == before ? .nothing : .changed
    }
}
