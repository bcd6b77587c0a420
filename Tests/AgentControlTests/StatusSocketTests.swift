import AgentAPI
import AgentControl
import ConfigAgent
import ConfigFetch
import ConfigPublish
import ConfigSnapshot
import Foundation
import LockLadder
import TestSupport
import Testing

@Suite("status.sock")
struct StatusSocketTests {
    @Test func status() throws {
        let running = try Running.withDocument(#"{"a":1,"b":{"c":2}}"#, workers: 3)
        try waitUntil("it is durable") { running.agent.storeState.durableGeneration == 1 }
        let report = try running.report()
        #expect(report.agent.pid == getpid())
        #expect(report.agent.configFile == "/etc/agent")
        #expect(report.health.level == .healthy)
        #expect(report.health.reasons.isEmpty)
        #expect(report.generation == 1)
        #expect(report.durableGeneration == 1)
        #expect(report.snapshot?.generation == 1)
        #expect(report.snapshot?.keys == 2)
        #expect(report.snapshot?.digest == running.agent.publisher.digest.hex)
        #expect(report.confirmedAt != nil)
        #expect(report.workers.count == 3)
        #expect(report.workers.list.map(\.name) == (0..<3).map { "agent-worker-\($0)" })
        #expect(report.flights.calls == 1 && report.flights.flights == 1 && report.flights.inFlight == 0)
        let source = try #require(report.sources["base"])
        #expect(source.state == .fresh)
        #expect(source.required)
        #expect(source.lastRequest != nil && source.lastSuccess != nil && source.lastActivation != nil)
        #expect(source.lastError == nil)
        #expect(source.nextPoll.map { $0 > .now } == true)
        #expect(source.trace?.decodedToPublishedMicroseconds != nil)
        try waitUntil("all workers have seen it") { try running.report().workers.current == 3 }
    }

    @Test func beforeTheFirstSnapshot() throws {
        let directory = try TemporaryDirectory()
        let running = try Running([source("base", .file, "file://" + directory.path("base.json"))], in: directory)
        let starting = try running.report()
        #expect(starting.generation == 0)
        #expect(starting.snapshot == nil)
        #expect(starting.confirmedAt == nil)
        #expect(starting.health.level == .failed)
        #expect(starting.health.reasons.map(\.code) == ["no_snapshot"])
        #expect(starting.sources["base"]?.state == .starting)
        let ready = try running.status("/readyz")
        #expect(ready.status == 503)
        #expect(try ready.decoded(as: HealthReport.self).status == .starting)
        let health = try running.status("/healthz")
        #expect(health.status == 503)
        #expect(try health.decoded(as: HealthReport.self).status == .failed)
        try running.start()
        let failing = try running.report()
        #expect(failing.sources["base"]?.state == .failing)
        #expect(failing.sources["base"]?.lastError?.code == "cannot_read")
        #expect(failing.durableGeneration == 0)
        try running.write("base.json", "{}")
        #expect(try running.control().status == 200)
        #expect(try running.status("/readyz").status == 200)
        #expect(try running.status("/healthz").decoded(as: HealthReport.self).status == .ok)
    }

    @Test("Degraded is healthy enough to be served from, and it is said why")
    func degraded() throws {
        let running = try Running.withDocument(#"{"a":1}"#)
        try running.write("base.json", "{")
        #expect(try running.control().status == 200)
        let answer = try running.status("/healthz")
        #expect(answer.status == 200)
        let report = try answer.decoded(as: HealthReport.self)
        #expect(report.status == .degraded)
        #expect(report.reasons.count == 1)
        #expect(report.reasons.first?.hasPrefix("base: decode: ") == true)
        #expect(try running.status("/readyz").status == 200)
        #expect(running.server.summary.hasPrefix("generation 1, degraded: base: "))
    }

    @Test func sources() throws {
        let running = try Running.withDocument(#"{"a":1}"#)
        #expect(try running.control().status == 200)
        let report = try running.status("/v1/sources").decoded(as: SourcesReport.self)
        let source = try #require(report.sources.first)
        #expect(report.sources.count == 1)
        #expect(source.name == "base")
        #expect(source.layer == 0)
        #expect(source.kind == "file")
        #expect(source.requests == 2)
        #expect(source.published == 1)
        #expect(source.notModified == 0)
        #expect(source.unchanged == 1)
        #expect(source.failuresByClass.isEmpty)
        #expect(source.poll.minSeconds == 360_000)
    }

    @Test func locks() throws {
        let running = try Running.withDocument("{}")
        let report = try running.status("/v1/locks").decoded(as: LocksReport.self)
        #expect(report.accounting)
        #expect(report.since == (try running.report().agent.startedAt))
        let names = report.locks.map(\.name)
        for name in ["sources.board", "fetch.flights", "publish.snapshot", "store.pending"] {
            #expect(names.contains(name), "\(name)")
        }
        for lock in report.locks {
            #expect(lock.acquisitions >= lock.contended || lock.acquisitions == 0)
            #expect(lock.waitHistogram.map(\.count) == lock.waitHistogram.map(\.count).sorted())
            #expect((lock.waitHistogram.last?.count ?? 0) <= lock.waitCount)
            #expect((lock.holdSamples == 0) == (lock.holdMeanMicroseconds == 0))
        }
    }

    @Test func methodsAndPaths() throws {
        let running = try Running.withDocument("{}")
        for path in ["/v1/status", "/v1/locks", "/v1/sources", "/healthz", "/readyz", "/metrics"] {
            #expect(try running.status(path).status == 200)
            #expect(try running.status(path, "HEAD").status == 200)
            #expect(try running.status(path, "POST").status == 405)
        }
        let unknown = try running.status("/v1/statsu")
        #expect(unknown.status == 404)
        #expect(unknown.error?.code == "unknown_path")
        #expect(unknown.error?.nearest == ["/v1/status"])
        #expect(try running.status("/").status == 404)
        #expect(try running.status("nonsense").status == 400)
        #expect(try running.status("/%zz").error?.code == "bad_target")
    }

    @Test("Who asks on the wrong socket is told the right one")
    func wrongSocket() throws {
        let running = try Running.withDocument("{}")
        let answers = [
            (try running.status("/v1/config"), "config.sock"), (try running.status("/v1/config/a.b"), "config.sock"),
            (try running.status("/v1/refresh"), "control.sock"), (try running.config("/v1/status"), "status.sock"),
            (try running.config("/metrics"), "status.sock"), (try running.config("/v1/refresh"), "control.sock"),
            (try running.status("/v1/pin", "POST"), "control.sock"),
            (try running.config("/v1/pin", "POST"), "control.sock"),
            (try running.control("/v1/config/a"), "config.sock"), (try running.control("/healthz"), "status.sock"),
        ]
        for (answer, socket) in answers {
            #expect(answer.status == 404)
            #expect(answer.error?.code == "wrong_socket")
            #expect(answer.error?.hint?.contains(socket) == true)
        }
    }

    // MARK: Metrics

    /// Samples by name and labels, as they are written.
    private func samples(_ text: String) -> [String: Double] {
        var samples: [String: Double] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) else {
                Issue.record("\(line)")
                continue
            }
            let name = String(line[..<space])
            #expect(samples.updateValue(value, forKey: name) == nil, "\(name) twice")
        }
        return samples
    }

    @Test("Metrics can be read and say what status says")
    func metrics() throws {
        let running = try Running.withDocument(#"{"a":1,"b":2}"#)
        try waitUntil("it is durable") { running.agent.storeState.durableGeneration == 1 }
        try waitUntil("all workers have seen it") { try running.report().workers.current == 2 }
        try running.write("base.json", "{")
        #expect(try running.control().status == 200)
        let answer = try running.status("/metrics")
        #expect(answer.headers["content-type"]?.hasPrefix("text/plain; version=0.0.4") == true)
        let samples = samples(answer.text)
        let report = try running.report()
        let expected: [String: Double] = [
            "config_agent_health": 1, "config_agent_generation": 1, "config_agent_durable_generation": 1,
            "config_agent_snapshot_keys": 2, "config_agent_flights_in_flight": 0,
            "config_agent_info{version=\"\(report.agent.version)\"}": 1,
            "config_agent_worker_lag{worker=\"agent-worker-0\"}": 0,
            "config_agent_flight_calls_total": Double(report.flights.calls),
            "config_agent_flights_total": Double(report.flights.flights),
            "config_agent_flight_failures_total": 1,
            "config_agent_source_requests_total{source=\"base\"}": 2,
            "config_agent_source_published_total{source=\"base\"}": 1,
            "config_agent_source_consecutive_failures{source=\"base\"}": 1,
            "config_agent_source_last_load_successful{source=\"base\"}": 0,
            "config_agent_source_load_failures_total{source=\"base\",class=\"syntax\"}": 1,
            "config_agent_journal_records_total{result=\"dropped\"}": 0,
        ]
        for (name, value) in expected { #expect(samples[name] == value, "\(name)") }
        let confirmed = try #require(report.confirmedAt)
        #expect(samples["config_agent_confirmed_timestamp_seconds"] == Double(confirmed.unixMilliseconds) / 1_000)
    }

    @Test("Where a source with a mirror is asked, and how long that took, stands in status, sources and metrics")
    func place() throws {
        let first = try HeldOrigin { _ in .http(503, headers: ["Retry-After": "3600"]) }
        let mirror = try HeldOrigin { .document(#"{"a":1}"#, to: $0) }
        defer {
            first.stop()
            mirror.stop()
        }
        var spec = source("base", .http, first.url("/a")).fetch
        spec.mirrors = [mirror.url("/a")]
        let plan = AgentPlan.Source(fetch: spec, isRequired: true)
        let running = try Running([plan], in: try TemporaryDirectory())
        try running.start()
        try waitUntil("the mirror's document") { running.agent.publisher.generation == 1 }
        let place = PlaceStatus(url: mirror.url("/a"), index: 1, count: 2, moves: 1)
        #expect(try running.report().sources["base"]?.place == place)
        let sources: SourcesReport = try running.status("/v1/sources").decoded()
        #expect(sources.sources.first?.status.place == place)
        #expect(try running.metric("config_agent_source_place{source=\"base\"}") == 1)
        #expect(try running.metric("config_agent_source_moves_total{source=\"base\"}") == 1)
        #expect(try running.metric("config_agent_source_disagreements_total{source=\"base\"}") == 0)
        for part in ["first_byte", "total", "wait"] {
            let name = "config_agent_source_fetch_seconds_count{source=\"base\",part=\"\(part)\"}"
            let count = Double(sources.sources.first?.timings[part]?.count ?? 0)
            #expect(try running.metric(name) == count, "\(part)")
            #expect(part == "wait" || count == 2, "one request to each place")
        }
        let alone = try Running.withDocument("{}")
        #expect(try alone.report().sources["base"]?.place == nil)
        #expect(try alone.metric("config_agent_source_place{source=\"base\"}") == nil)
    }

    @Test("Each metric is announced once, before its samples, and histograms only rise")
    func metricsForm() throws {
        let running = try Running.withDocument("{}")
        let lines = try running.status("/metrics").text.split(separator: "\n").map(String.init)
        var types: [String: String] = [:]
        var last = ""
        var cumulative: [String: Double] = [:]
        for line in lines {
            if line.hasPrefix("# TYPE ") {
                let words = line.split(separator: " ").map(String.init)
                #expect(types.updateValue(words[3], forKey: words[2]) == nil)
                last = words[2]
            } else if !line.hasPrefix("#") {
                let name = line.prefix { $0 != "{" && $0 != " " }
                #expect(name == last || ["_bucket", "_sum", "_count"].contains { name == last + $0 })
                if types[last] == "counter" { #expect(last.hasSuffix("_total")) }
                if name.hasSuffix("_bucket"), let value = line.split(separator: " ").last.flatMap({ Double($0) }) {
                    // All labels but the bound, which is the last.
                    let series = String(line.split(separator: "le=\"", maxSplits: 1)[0])
                    #expect(value >= cumulative[series] ?? 0)
                    cumulative[series] = value
                }
            }
        }
        #expect(types["config_agent_lock_wait_seconds"] == "histogram")
        #expect(!cumulative.isEmpty)
    }
}
