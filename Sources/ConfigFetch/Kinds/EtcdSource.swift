internal import ConfigSnapshot

/// A key of etcd v3, or all keys below a prefix, by the JSON gateway.
///
/// Source: https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/. Integers come as text there, what is zero or empty does
/// not come at all, and a watch is a line of JSON for each event, on an answer without an end.
final class EtcdSource: SourceClient {
    private enum Step {
        static let logIn = 1
        static let range = 0
        /// The second try after the token was refused.
        static let rangeAgain = 2
    }

    /// A line longer than this is an event with a long value; that there is one is all that a watch has to know.
    private static let longestLine = 64 << 10

    private let spec: SourceSpec
    private let url: KeyURL
    private let key: [UInt8]
    private var token: String?
    /// The store's revision when it was last asked.
    private var revision: Int64?
    /// Where the watch that is open began.
    private var watchedFrom: Int64?
    /// What the watch has told of the key last, and at which revision; only for a single key.
    private var told: (value: [UInt8], revision: Int64)?
    private var line: [UInt8] = []
    private var isLineLong = false

    init(_ spec: SourceSpec) {
        self.spec = spec
        url = KeyURL(spec.url)
        // Keys of etcd are bytes; by custom they begin with a slash, as the path does. `?key=` names any other.
        key = Array((url.query["key"] ?? url.path).utf8)
    }

    private var isPrefix: Bool { key.isEmpty || key.last == UInt8(ascii: "/") }

    /// The first key behind all those that begin with this one; a zero byte for "all there are".
    private var rangeEnd: [UInt8] {
        var end = key
        while let last = end.popLast() {
            if last < 0xFF { return end + [last + 1] }
        }
        return [0]
    }

    // MARK: The document

    func ask(_ validators: Validators) -> SourceRequest {
        spec.auth.user != nil && token == nil ? logIn : range(Step.range)
    }

    private var logIn: SourceRequest {
        var request = post(
            "/v3/auth/authenticate",
            LogIn(name: spec.auth.user ?? "", password: spec.auth.password ?? "")
        )
        request.step = Step.logIn
        return request
    }

    private func range(_ step: Int) -> SourceRequest {
        var request = post("/v3/kv/range", RangeRequest(key: APIJSON.base64(keyOrAll), rangeEnd: encodedRangeEnd))
        request.step = step
        return request
    }

    /// etcd takes no empty key: all keys begin behind the zero byte.
    private var keyOrAll: [UInt8] { key.isEmpty ? [0] : key }
    private var encodedRangeEnd: String? { isPrefix ? APIJSON.base64(rangeEnd) : nil }

    private func post(_ path: String, _ body: some Encodable) -> SourceRequest {
        var request = SourceRequest(url.endpoint + path)
        request.method = .post(APIJSON.encode(body), contentType: "application/json")
        if let token { request.headers = [("Authorization", token)] }
        request.readsErrors = true
        return request
    }

    func understand(_ answer: Answer, to request: SourceRequest) -> Understanding {
        do throws(StageFailure) {
            if request.step == Step.logIn {
                guard answer.status == 200 else { return refused(try answer.body(), answer) }
                token = try APIJSON.decode(LoggedIn.self, from: try answer.body()).token
                return .ask(range(Step.rangeAgain))
            }
            let body = try answer.body()
            guard answer.status == 200 else {
                // A token dies with the server that gave it, or after five minutes of silence.
                if isTokenRefused(answer.status, body), request.step == Step.range, spec.auth.user != nil {
                    token = nil
                    return .ask(logIn)
                }
                return refused(body, answer)
            }
            let found = try Found(body)
            note(found.revision)
            let validators = Validators(order: spec.mirrors.isEmpty ? nil : found.order)
            return .document(body: try document(found, body), validators, contentType: nil)
        } catch {
            return .failed(error)
        }
    }

    /// A revision as it is told. No store comes to the largest: from there on nothing could be counted further.
    private static func revision(_ text: String?) -> Int64? {
        text.flatMap { Int64($0) }.flatMap { $0 >= 0 && $0 < .max ? $0 : nil }
    }

    private func note(_ text: String?) {
        let now = Self.revision(text) ?? 0
        // A store that was wiped or restored counts from an earlier number: a watch from a later one would wait for ever.
        if let watchedFrom, now + 1 < watchedFrom {
            wantsNewWatch = true
            told = nil
        }
        revision = now
        if let told, told.revision <= now { self.told = nil }
    }

    private(set) var wantsNewWatch = false

    private func document(_ found: Found, _ body: [UInt8]) throws(StageFailure) -> [UInt8] {
        guard let first = found.pairs.first else {
            throw StageFailure(
                .fetch,
                "not_found",
                isPrefix ? "there is no key below the prefix" : "there is no such key",
                hint: "write it, or mend 'url' of source '\(spec.name)'; an empty configuration is never taken over"
            )
        }
        guard isPrefix else { return try Self.bytes(body[first.value]) }
        // A place for the document that is made of it.
        guard MemoryRoom.has(body.count) else { throw .noMemory(.fetch, bytes: body.count) }
        var tree = KeyTree<Range<Int>>()
        for pair in found.pairs { try tree.insert(try Self.bytes(body[pair.key]).dropFirst(key.count), pair.value) }
        guard tree.count > 0 else { throw .onlyDirectories }
        return try tree.json(size: body.count) { range throws(StageFailure) in try Self.bytes(body[range]) }
    }

    private static func bytes(_ base64: ArraySlice<UInt8>) throws(StageFailure) -> [UInt8] {
        guard let bytes = APIJSON.bytes(ofBase64: base64) else {
            throw StageFailure(.fetch, "bad_response", "etcd sent a value that is not base64")
        }
        return bytes
    }

    private func isTokenRefused(_ status: Int, _ body: [UInt8]) -> Bool {
        let refusal = try? APIJSON.decode(Refusal.self, from: body)
        // A signed token is refused once users or rights have changed since it was given.
        let isOld = refusal?.words?.contains("revision") == true && refusal?.words?.contains("auth") == true
        return status == 401 || refusal?.code == Refusal.unauthenticated || isOld
    }

    private func refused(_ body: [UInt8], _ answer: Answer) -> Understanding {
        guard let refusal = try? APIJSON.decode(Refusal.self, from: body),
            let words = KnownWords.etcd.recognise(refusal.words) ?? KnownWords.ofGRPC(refusal.code)
        else { return answer.statusFailure }
        return .failed(
            StageFailure(
                .fetch,
                "http_status",
                "etcd refuses (HTTP status \(answer.status)): \(words)",
                hint: "check 'auth' of source '\(spec.name)' and the user's rights on the key"
            ),
            retryAfterNanoseconds: answer.retryAfter
        )
    }

    // MARK: The watch

    func watch() -> SourceRequest? {
        guard let revision, spec.auth.user == nil || token != nil else { return nil }
        wantsNewWatch = false
        told = nil
        line = []
        isLineLong = false
        watchedFrom = revision + 1
        let create = Watch(
            create: .init(key: APIJSON.base64(keyOrAll), rangeEnd: encodedRangeEnd, start: String(revision + 1))
        )
        var request = post("/v3/watch", create)
        request.isStream = true
        request.timeoutMilliseconds = spec.watchTimeoutMilliseconds
        return request
    }

    /// Only newer than what was read: the poll that follows finds out whatever this does not know.
    func atHand() -> [UInt8]? {
        guard let told, told.revision > revision ?? 0, spec.maxAnswerBytes >= told.value.count else { return nil }
        self.told = nil
        revision = told.revision
        return told.value
    }

    func heard(_ piece: [UInt8]) -> News {
        var hasChanged = false
        for byte in piece {
            guard byte == UInt8(ascii: "\n") else {
                if line.count < Self.longestLine {
                    line.append(byte)
                } else if !isLineLong {
                    isLineLong = true
                    hasChanged = true
                    told = nil
                }
                continue
            }
            defer {
                line.removeAll(keepingCapacity: true)
                isLineLong = false
            }
            // Told of already.
            if isLineLong { continue }
            switch heardLine(line) {
            case .changed: hasChanged = true
            case .nothing: break
            case .refused(let failure): return .refused(failure)
            }
        }
        return hasChanged ? .changed : .nothing
    }

    private func heardLine(_ line: [UInt8]) -> News {
        if line.allSatisfy({ $0 == 0x20 || $0 == 0x0D }) { return .nothing }
        guard let told = try? APIJSON.decode(Told.self, from: line) else {
            return .refused(StageFailure(.fetch, "bad_response", "etcd's watch does not speak JSON"))
        }
        if told.error != nil || told.result?.canceled == true {
            // What it told before may have been of another store, or for other eyes.
            self.told = nil
            // Among the reasons: what happened since is compacted away. What is there now is asked for, and then watched.
            let reason = told.result?.compactRevision != nil ? "what happened since was compacted away" : told.words
            // It may have been the token.
            if told.result?.compactRevision == nil { token = nil }
            return .refused(StageFailure(.fetch, StageFailure.watchCanceledCode, "etcd ended the watch: \(reason)"))
        }
        guard let event = told.result?.events?.last else { return .nothing }
        self.told = nil
        // One that is deleted has no type that is left out, and no value.
        if !isPrefix, event.type == nil, let revision = Self.revision(event.kv?.revision),
            let value = APIJSON.bytes(ofBase64: (event.kv?.value ?? "").utf8)
        {
            self.told = (value, revision)
        }
        return .changed
    }

    func heard(_ answer: Answer) -> News {
        guard answer.status == 200 else {
            token = nil
            return .refused(
                StageFailure(.fetch, "http_status", "etcd answers HTTP status \(answer.status) to the watch")
            )
        }
        return .nothing
    }

    // MARK: What is said

    private struct LogIn: Encodable {
        let name: String
        let password: String
    }

    private struct LoggedIn: Decodable { let token: String }

    private struct RangeRequest: Encodable {
        let key: String
        let rangeEnd: String?

        enum CodingKeys: String, CodingKey {
            case key
            case rangeEnd = "range_end"
        }
    }

    /// The answer to a range request: what it is about, and where in it keys and values stand, as base64.
    private struct Found {
        private(set) var revision: String?
        private(set) var pairs: [(key: Range<Int>, value: Range<Int>)] = []
        private var cluster: String?

        /// All members of a cluster count together.
        var order: Validators.Order? {
            guard let revision = revision.flatMap({ Int64($0) }), let cluster = cluster.flatMap({ UInt64($0) }) else {
                return nil
            }
            return Validators.Order(series: cluster, number: revision)
        }

        init(_ body: [UInt8]) throws(StageFailure) {
            var walk = JSONWalk(body)
            var revision: String?
            var cluster: String?
            var pairs: [(key: Range<Int>, value: Range<Int>)] = []
            var hasHeader = false
            try walk.members { walk, name throws(StageFailure) in
                if name.elementsEqual("header".utf8) {
                    hasHeader = true
                    try walk.members { walk, name throws(StageFailure) in
                        if name.elementsEqual("revision".utf8) {
                            revision = try walk.text().map { String(decoding: $0, as: UTF8.self) }
                        } else if name.elementsEqual("cluster_id".utf8) {
                            cluster = try walk.text().map { String(decoding: $0, as: UTF8.self) }
                        } else {
                            try walk.skip()
                        }
                    }
                } else if name.elementsEqual("kvs".utf8) {
                    try walk.elements { walk throws(StageFailure) in pairs.append(try Self.pair(&walk)) }
                } else {
                    try walk.skip()
                }
            }
            try walk.end()
            guard hasHeader else { throw JSONWalk.notUnderstood }
            (self.revision, self.cluster, self.pairs) = (revision, cluster, pairs)
        }

        private static func pair(_ walk: inout JSONWalk) throws(StageFailure) -> (key: Range<Int>, value: Range<Int>) {
            var key: Range<Int>?
            var value: Range<Int>?
            try walk.members { walk, name throws(StageFailure) in
                if name.elementsEqual("key".utf8) {
                    key = try walk.rawText()
                } else if name.elementsEqual("value".utf8) {
                    value = try walk.rawText()
                } else {
                    try walk.skip()
                }
            }
            guard let key else { throw JSONWalk.notUnderstood }
            return (key, value ?? 0..<0)
        }
    }

    private struct Refusal: Decodable {
        static let unauthenticated = 16
        let error: String?
        let message: String?
        let code: Int?
        var words: String? { error ?? message }
    }

    private struct Watch: Encodable {
        struct Create: Encodable {
            let key: String
            let rangeEnd: String?
            let start: String

            enum CodingKeys: String, CodingKey {
                case key
                case rangeEnd = "range_end"
                case start = "start_revision"
            }
        }
        let create: Create

        enum CodingKeys: String, CodingKey { case create = "create_request" }
    }

    private struct Told: Decodable {
        struct Result: Decodable {
            struct Event: Decodable {
                struct Pair: Decodable {
                    let value: String?
                    let revision: String?

                    enum CodingKeys: String, CodingKey {
                        case value
                        case revision = "mod_revision"
                    }
                }
                /// Absent for a key that was written.
                let type: String?
                let kv: Pair?
            }
            let events: [Event]?
            let canceled: Bool?
            let compactRevision: String?
            let reason: String?

            enum CodingKeys: String, CodingKey {
                case events, canceled
                case compactRevision = "compact_revision"
                case reason = "cancel_reason"
            }
        }
        struct Problem: Decodable { let message: String? }
        let result: Result?
        let error: Problem?

        var words: String { KnownWords.etcd.recognise(error?.message ?? result?.reason) ?? "for a reason of its own" }
    }
}
