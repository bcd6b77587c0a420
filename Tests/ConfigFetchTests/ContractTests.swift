import ConfigSnapshot
import Foundation
import LockLadder
import TestSupport
import Testing

@testable import ConfigFetch

/// Polled once; whatever comes later comes by the watch.
private func watched(
    _ kind: SourceKind,
    _ url: String,
    _ change: (inout SourceSpec) -> Void = { _ in }
) -> SourceSpec {
    spec("a", kind, url) {
        $0.retryBase = second / 20
        $0.retryMax = second / 10
        change(&$0)
    }
}

extension Harness {
    fileprivate var body: String? {
        received.last(where: { $0.result.document != nil })?.result.document
            .map { String(decoding: $0.body, as: UTF8.self) }
    }

    fileprivate var codes: [String] { received.compactMap { $0.result.failure?.code } }
}

@Suite("Consul, by its documented contract")
struct ConsulContractTests {
    @Test("A key is watched by blocking queries from the index that was told last")
    func key() throws {
        let consul = try ConsulContract(token: "planted-token")
        defer { consul.stop() }
        consul.put("app/config.json", #"{"v":1}"#)
        let harness = try Harness([watched(.consul, consul.url("/app/config.json")) { $0.auth.token = "planted-token" }]
        )
        try harness.start()
        #expect(harness.body == #"{"v":1}"#)
        try waitUntil("a blocking query") { consul.blocked == 1 }
        consul.put("app/config.json", #"{"v":2}"#)
        try waitUntil("the change") { harness.body == #"{"v":2}"# }
        try waitUntil("a blocking query") { consul.blocked == 1 }
        let indices = consul.requests.compactMap { $0.parameters["index"] }
        #expect(indices == ["2", "3"])
        #expect(consul.requests.allSatisfy { !$0.path.contains("planted") })
    }

    @Test("Keys below a prefix are a tree; directories count for nothing")
    func prefix() throws {
        let consul = try ConsulContract()
        defer { consul.stop() }
        consul.put("app/", "")
        consul.put("app/db/", "")
        consul.put("app/db/url", "x")
        consul.put("app/a b", "y")
        let harness = try Harness([watched(.consul, consul.url("/app/"))])
        try harness.start()
        #expect(harness.body == #"{"a b":"y","db":{"url":"x"}}"#)
        try waitUntil("a blocking query") { consul.blocked == 1 }
        consul.put("app/db/url", nil)
        try waitUntil("the change") { harness.body == #"{"a b":"y"}"# }
        consul.put("app/a b", nil)
        try waitUntil("the refusal") { harness.codes.contains("not_found") }
        #expect(harness.body == #"{"a b":"y"}"#)
    }

    @Test("An index that goes backwards is forgotten, and what is there now is fetched")
    func backwards() throws {
        let consul = try ConsulContract()
        defer { consul.stop() }
        for value in 1...9 { consul.put("k", "{\"v\":\(value)}") }
        let harness = try Harness([watched(.consul, consul.url("/k"))])
        try harness.start()
        try waitUntil("a blocking query") { consul.blocked == 1 }
        consul.restore(["k": #"{"v":0}"#])
        try waitUntil("the restored value") { harness.body == #"{"v":0}"# }
        try waitUntil("a blocking query from the new index") { consul.blocked == 1 }
        #expect(consul.requests.last?.parameters["index"] == "2")
        consul.put("k", #"{"v":1}"#)
        try waitUntil("the change") { harness.body == #"{"v":1}"# }
    }

    @Test("A return is not a change: neither one at the end of the wait nor one for nothing publishes anything")
    func returns() throws {
        let consul = try ConsulContract()
        defer { consul.stop() }
        consul.put("k", #"{"v":1}"#)
        let harness = try Harness([watched(.consul, consul.url("/k")) { $0.watchWait = second }])
        try harness.start()
        func asked() -> [String?] { consul.requests.map { $0.parameters["index"] } }
        // At the end of the wait the index is the one that was asked from: that needs no look at all.
        try waitUntil("three waits") { asked().count >= 4 }
        #expect(asked().prefix(4) == [nil, "2", "2", "2"])
        // For nothing: the index has grown and the value has not changed.
        consul.wakeForNothing()
        try waitUntil("a look") { asked().filter { $0 == nil }.count == 2 }
        try waitUntil("a blocking query from the new index") { asked().last == "3" }
        #expect(harness.received.count == 2)
        let bodies = Set(harness.received.compactMap { $0.result.document?.body })
        #expect(bodies.count == 1, "the same bytes, which later stages know")
        consul.put("k", #"{"v":2}"#)
        try waitUntil("the change") { harness.body == #"{"v":2}"# }
    }

    @Test("A wrong token is a failure that says where to look, and never the token")
    func wrongToken() throws {
        let consul = try ConsulContract(token: "right")
        defer { consul.stop() }
        let harness = try Harness([watched(.consul, consul.url("/k")) { $0.auth.token = "planted-wrong" }])
        try harness.start()
        let failure = try #require(harness.received.first?.result.failure)
        #expect(failure.message == "the origin answers HTTP status 403")
        #expect(failure.hint?.contains("auth") == true)
    }
}

/// The real one is asked in `EtcdTests`. Here it says at a moment of our choosing what it says seldom.
@Suite("etcd, where the real one is seldom met")
struct EtcdContractTests {
    /// Answers ranges with `value` at `revision`, and each watch with what `watch` says of its first revision.
    private final class Fake: Sendable {
        let state: Mutex<(value: String, revision: Int)>
        /// Hangs up on everybody.
        let isDown = Mutex("test.etcd.down", false)
        let origin: Mutex<HeldOrigin?>

        init(_ value: String, at revision: Int, watch: @escaping @Sendable (_ start: Int) -> String) throws {
            state = Mutex("test.etcd", (value, revision))
            origin = Mutex("test.etcd.origin", nil)
            let server = try HeldOrigin { [unowned self] request in
                if isDown.withLock({ $0 }) { return .bytes([]) }
                if request.route == "/v3/watch" {
                    let start = Self.start(of: request) ?? 0
                    return .hold(Array("HTTP/1.1 200 OK\r\n\r\n\(watch(start))\n".utf8))
                }
                let (value, revision) = state.withLock { $0 }
                let encoded = APIJSON.base64(Array(value.utf8))
                let header = #"{"cluster_id":"1","revision":"\#(revision)"}"#
                return .http(
                    200,
                    body: Array(#"{"header":\#(header),"kvs":[{"key":"aw==","value":"\#(encoded)"}]}"#.utf8)
                )
            }
            origin.withLock { $0 = server }
        }

        static func start(of request: OriginRequest) -> Int? {
            let text = String(decoding: request.body, as: UTF8.self)
            return text.firstRange(of: #""start_revision":""#).flatMap { range in
                Int(text[range.upperBound...].prefix { $0.isNumber })
            }
        }

        var url: String { "etcd+" + (origin.withLock { $0?.url("/k") } ?? "") }
        func stop() { origin.withLock { $0?.stop() } }
        var requests: [OriginRequest] { origin.withLock { $0?.requests ?? [] } }
        var starts: [Int] { requests.filter { $0.route == "/v3/watch" }.compactMap(Self.start) }
    }

    @Test("What was compacted away is fetched as it is now, and watched from there")
    func compaction() throws {
        // The stream stays open, as etcd's does.
        let etcd = try Fake("1", at: 10) { start in
            start <= 15
                ? #"{"result":{"header":{"revision":"20"},"canceled":true,"compact_revision":"15"}}"#
                : #"{"result":{"created":true}}"#
        }
        defer { etcd.stop() }
        let harness = try Harness([watched(.etcd, etcd.url)])
        etcd.state.withLock { $0 = ("1", 10) }
        try harness.start()
        etcd.state.withLock { $0 = ("2", 20) }
        try waitUntil("what is there now") { harness.body == "2" }
        try waitUntil("the watch from there") { etcd.starts.contains(21) }
        let watch = try #require(harness.facts("a")?.watch)
        #expect(watch.lastFailure?.failure.message.contains("compacted away") == true)
        #expect(harness.facts("a")?.failuresByClass.isEmpty == true, "the source itself has not failed")
    }

    @Test("Members of one cluster count together: one that lags is not believed, one that is ahead is")
    func laggingMember() throws {
        let quiet: @Sendable (Int) -> String = { _ in #"{"result":{"created":true}}"# }
        let ahead = try Fake("2", at: 20, watch: quiet)
        let behind = try Fake("1", at: 15, watch: quiet)
        defer {
            ahead.stop()
            behind.stop()
        }
        let harness = try Harness([watched(.etcd, ahead.url) { $0.mirrors = [behind.url] }])
        try harness.start()
        #expect(harness.body == "2")
        ahead.isDown.withLock { $0 = true }
        try harness.command("a")
        try waitUntil("the other one to be asked") { harness.codes.contains("older") }
        #expect(harness.body == "2")
        // It has gone on, and its operator has put the old value back.
        behind.state.withLock { $0 = ("1", 21) }
        try waitUntil("what it has now") { harness.body == "1" }
    }

    @Test("A watch that dies in silence costs a poll's time: what it should have told is found, and watched from there")
    func silence() throws {
        let etcd = try Fake("1", at: 10) { _ in #"{"result":{"created":true}}"# }
        defer { etcd.stop() }
        let harness = try Harness([watched(.etcd, etcd.url) { $0.poll = 1...1 }])
        try harness.start()
        try waitUntil("the watch") { etcd.starts == [11] }
        etcd.state.withLock { $0 = ("2", 11) }
        try waitUntil("the change") { harness.body == "2" }
        #expect(etcd.starts == [11], "it may still be alive: nothing speaks against it")
        // A store that counts from an earlier number, as one that was wiped, never reaches the number it is watched from.
        etcd.state.withLock { $0 = ("3", 4) }
        try waitUntil("the change") { harness.body == "3" }
        try waitUntil("the watch from the new count") { etcd.starts == [11, 5] }
    }
}

@Suite("Nacos, by its documented contract")
struct NacosContractTests {
    @Test("A configuration is watched by the listener, with the digest that was told last")
    func listener() throws {
        let nacos = try NacosContract()
        defer { nacos.stop() }
        nacos.publish("app.json", group: "prod", tenant: "team", #"{"v":1}"#)
        let harness = try Harness([watched(.nacos, nacos.url("/prod/app.json?namespace=team"))])
        try harness.start()
        #expect(harness.body == #"{"v":1}"#)
        for value in 2...4 {
            try waitUntil("a listener") { nacos.listening == 1 }
            nacos.publish("app.json", group: "prod", tenant: "team", "{\"v\":\(value)}")
            try waitUntil("the change") { harness.body == "{\"v\":\(value)}" }
        }
        // Nobody else's change wakes anybody.
        try waitUntil("a listener") { nacos.listening == 1 }
        let before = nacos.requests.count
        nacos.publish("app.json", group: "prod", "other")
        #expect(nacos.requests.count == before)
    }

    @Test("When it was changed is kept with the document: over a start it tells which of two servers is behind")
    func lastModified() throws {
        let nacos = try NacosContract()
        defer { nacos.stop() }
        nacos.publish("app.json", group: "prod", "{}", changed: Date(timeIntervalSince1970: 1_795_305_600))
        let harness = try Harness([spec("a", .nacos, nacos.url("/prod/app.json")) { $0.isWatched = false }])
        try harness.start()
        let document = try #require(harness.received.first?.result.document)
        #expect(document.validators == Validators(lastModified: "Sun, 22 Nov 2026 00:00:00 GMT"))
    }

    @Test("What is not there is waited for, and not asked for in a loop")
    func missing() throws {
        let nacos = try NacosContract()
        defer { nacos.stop() }
        let harness = try Harness([
            watched(.nacos, nacos.url("/app.json")) {
                $0.retryBase = 1_000 * hour
                $0.retryMax = 1_000 * hour
            }
        ])
        try harness.start()
        try waitUntil("a listener") { nacos.listening == 1 }
        #expect(nacos.requests.count == 2)
        nacos.publish("app.json", group: "DEFAULT_GROUP", "{}")
        try waitUntil("the document") { harness.body == "{}" }
    }

    @Test("A user logs in, and again once the token is refused")
    func login() throws {
        let nacos = try NacosContract(password: "planted-password")
        defer { nacos.stop() }
        nacos.publish("app.json", group: "DEFAULT_GROUP", #"{"v":1}"#)
        let harness = try Harness([
            watched(.nacos, nacos.url("/app.json")) {
                $0.auth.user = "nacos"
                $0.auth.password = "planted-password"
            }
        ])
        try harness.start()
        #expect(harness.body == #"{"v":1}"#)
        try waitUntil("a listener") { nacos.listening == 1 }
        nacos.forgetTokens()
        try harness.refresh("a")
        #expect(harness.received.last?.result.document != nil)
        #expect(nacos.requests.filter { $0.route == "/nacos/v1/auth/login" }.count == 2)
        #expect(nacos.requests.allSatisfy { !$0.path.contains("planted") })
    }
}

@Suite("AWS AppConfig, by its documented contract")
struct AppConfigContractTests {
    private func harness(_ service: AppConfigContract) throws -> Harness {
        try Harness([
            spec("a", .appconfig, "appconfig://app/env/Profile") {
                $0.endpoint = service.endpoint
                $0.region = "eu-central-1"
                $0.auth.awsKeys = .init(id: "AKIDEXAMPLE", secret: "planted-secret", sessionToken: "planted-session")
            }
        ])
    }

    @Test("Each answer's token is used for the next request, and an empty body is no change")
    func session() throws {
        let service = try AppConfigContract(#"{"v":1}"#)
        let harness = try harness(service)
        try harness.start()
        #expect(harness.body == #"{"v":1}"#)
        #expect(try harness.refresh("a").kind.isNotModified)
        #expect(try harness.refresh("a").kind.isNotModified)
        service.deploy(#"{"v":2}"#)
        try harness.refresh("a")
        #expect(harness.body == #"{"v":2}"#)
        #expect(service.sessionsStarted == 1)
        #expect(service.requests.count == 5)
        #expect(service.requests.allSatisfy { $0.headers["x-amz-security-token"] == "planted-session" })
        let text = service.requests.map { "\($0.path) \($0.headers)" }.joined()
        #expect(!text.contains("planted-secret"))
    }

    @Test("A document that was refused is asked for anew, because the session will not say it again")
    func refused() throws {
        let service = try AppConfigContract("bad")
        let harness = try harness(service)
        harness.judge { _ in .failed(StageFailure(.decode, "syntax", "bad"), retryAfterNanoseconds: nil) }
        try harness.start()
        harness.judge(Harness.acceptAll)
        try harness.refresh("a")
        #expect(harness.received.count == 2 && harness.received.allSatisfy { $0.result.document != nil })
        #expect(service.sessionsStarted == 2)
    }

    @Test("An expired token begins a new session")
    func expired() throws {
        let service = try AppConfigContract(#"{"v":1}"#)
        let harness = try harness(service)
        try harness.start()
        service.expireTokens()
        service.deploy(#"{"v":2}"#)
        try harness.refresh("a")
        #expect(harness.body == #"{"v":2}"#)
        #expect(service.sessionsStarted == 2)
    }

    @Test("The service is not asked sooner than it says")
    func interval() throws {
        let service = try AppConfigContract(#"{"v":1}"#, pollInterval: 900)
        let wall = WallClock.nowNanoseconds
        let harness = try Harness([
            spec("a", .appconfig, "appconfig://app/env/Profile") {
                $0.endpoint = service.endpoint
                $0.region = "eu-central-1"
                $0.auth.awsKeys = .init(id: "AKIDEXAMPLE", secret: "s")
                $0.poll = (30 * second)...(60 * second)
            }
        ])
        try harness.start()
        try waitUntil("the time of the next poll") {
            harness.facts("a")?.nextPollAt.map { $0 > wall + 60_000_000_000 } == true
        }
        let next = try #require(harness.facts("a")?.nextPollAt)
        #expect(next >= wall + 900_000_000_000 && next < wall + 1_000_000_000_000)
    }
}

extension FlightOutcome.Kind {
    fileprivate var isNotModified: Bool { if case .notModified = self { true } else { false } }
}

@Suite("Long polls as bundle servers speak them")
struct LongPollTests {
    /// A server that waits for a change; `knows`: whether it knows what it was asked.
    private final class Bundles: Sendable {
        let state = Mutex("test.bundle", (version: 1, waiting: 0))
        let knows: Bool

        init(knows: Bool) { self.knows = knows }

        func answer(_ request: OriginRequest) -> OriginReply {
            guard knows, request.headers["prefer"]?.hasPrefix("modes=snapshot;wait=") == true else {
                return now(request)
            }
            return .later { [self] in
                state.withLock { $0.waiting += 1 }
                defer { state.withLock { $0.waiting -= 1 } }
                _ = try? waitUntil("a change", deadline: .seconds(20)) { tag != request.headers["if-none-match"] }
                return now(request)
            }
        }

        private var tag: String { "\"\(state.withLock { $0.version })\"" }

        private func now(_ request: OriginRequest) -> OriginReply {
            let type = knows ? "application/vnd.openpolicyagent.bundles" : "application/json"
            let headers = ["ETag": tag, "Content-Type": type]
            if request.headers["if-none-match"] == tag { return .http(304, headers: headers) }
            return .http(200, headers: headers, body: Array("{\"v\":\(state.withLock { $0.version })}".utf8))
        }
    }

    @Test("A server that waits tells of each change")
    func waits() throws {
        let bundles = Bundles(knows: true)
        let origin = try HeldOrigin { bundles.answer($0) }
        defer { origin.stop() }
        let harness = try Harness([watched(.http, origin.url("/b.json")) { $0.watchWait = 30 * second }])
        try harness.start()
        for version in 2...4 {
            try waitUntil("a long poll") { bundles.state.withLock { $0.waiting } == 1 }
            bundles.state.withLock { $0.version = version }
            try waitUntil("the change") { harness.body == "{\"v\":\(version)}" }
        }
        #expect(harness.facts("a")?.watch?.changes == 3)
    }

    @Test("A document that was refused is no news: the long poll waits for the next one")
    func refusedDocument() throws {
        let bundles = Bundles(knows: true)
        let origin = try HeldOrigin { bundles.answer($0) }
        defer { origin.stop() }
        let harness = try Harness(
            [
                watched(.http, origin.url("/b.json")) {
                    $0.watchWait = 30 * second
                    $0.retryBase = 1_000 * hour
                    $0.retryMax = 1_000 * hour
                }
            ],
            judge: { _ in .failed(StageFailure(.decode, "syntax", "bad"), retryAfterNanoseconds: nil) }
        )
        try harness.start()
        try waitUntil("a long poll") { bundles.state.withLock { $0.waiting } == 1 }
        #expect(origin.requests.last?.headers["if-none-match"] == "\"1\"")
        harness.judge(Harness.acceptAll)
        bundles.state.withLock { $0.version = 2 }
        try waitUntil("the change") { harness.body == #"{"v":2}"# }
        #expect(origin.requests.count <= 5)
    }

    @Test("A long poll that is told to come back later does, and so do the polls")
    func retryAfter() throws {
        let origin = try HeldOrigin { request in
            request.headers["prefer"] == nil
                ? .http(200, headers: ["ETag": "\"1\""], body: Array("{}".utf8))
                : .http(503, headers: ["Retry-After": "1000"])
        }
        defer { origin.stop() }
        let harness = try Harness([watched(.http, origin.url("/a")) { $0.watchWait = 60 * second }])
        try harness.start()
        try waitUntil("the refusal") { harness.facts("a")?.watch?.lastFailure != nil }
        try waitUntil("the poll at that time") {
            let left = (harness.facts("a")?.nextPollAt ?? 0) - WallClock.nowNanoseconds
            return (1...1_000 * Int64(second)).contains(left)
        }
        // Neither of them again: what is failed without a word is tried again within 100 ms.
        pauseThread(.milliseconds(500))
        #expect(origin.requests.count == 2)
    }

    @Test("A server that does not know what it was asked is not asked again and again")
    func doesNotWait() throws {
        let bundles = Bundles(knows: false)
        let origin = try HeldOrigin { bundles.answer($0) }
        defer { origin.stop() }
        let harness = try Harness([
            watched(.http, origin.url("/b.json")) {
                $0.watchWait = 30 * second
                $0.retryBase = 1_000 * hour
                $0.retryMax = 1_000 * hour
            }
        ])
        try harness.start()
        try waitUntil("the refusal") { harness.facts("a")?.watch?.lastFailure != nil }
        let watch = try #require(harness.facts("a")?.watch)
        #expect(!watch.isOpen)
        #expect(watch.lastFailure?.failure.code == "no_long_poll")
        #expect(watch.lastFailure?.failure.hint?.contains("poll.wait") == true)
    }

    @Test("A server that always has something else to say is not asked in a loop")
    func alwaysNews() throws {
        let origin = try HeldOrigin { request in
            .http(200, headers: ["ETag": "\"\(request.number)\""], body: Array("{}".utf8))
        }
        defer { origin.stop() }
        let harness = try Harness([
            watched(.http, origin.url("/b.json")) {
                $0.watchWait = 30 * second
                $0.retryBase = 1_000 * hour
                $0.retryMax = 1_000 * hour
            }
        ])
        try harness.start()
        try waitUntil("the refusal") { harness.facts("a")?.watch?.lastFailure?.failure.code == "no_long_poll" }
        // The watch's end is a reason to look once more, and that is all.
        try waitUntil("the last look") { origin.requests.count >= 3 && harness.fetcher.statistics.inFlight == 0 }
        #expect(origin.requests.count == 3)
    }
}
