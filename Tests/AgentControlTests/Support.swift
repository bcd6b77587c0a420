import AgentAPI
import AgentControl
import AgentTelemetry
import ConfigAgent
import ConfigFetch
import ConfigSnapshot
import Foundation
import LockLadder
import TestSupport

func sourceName(_ text: String) -> SourceName {
    guard let name = SourceName(text) else { preconditionFailure("\(text) is no name") }
    return name
}

let second: UInt64 = 1_000_000_000

/// A source that is polled once at the start and then, as far as a test lives, never again.
func source(
    _ name: String,
    _ kind: SourceKind,
    _ url: String,
    required: Bool = true
) -> AgentPlan.Source {
    let hour = 3_600 * second
    var spec = SourceSpec(name: sourceName(name), kind: kind, url: url, poll: (100 * hour)...(200 * hour))
    // Else a file would be read again as soon as it is written.
    spec.isWatched = kind != .file
    spec.retryBase = 100_000 * hour
    spec.retryMax = 100_000 * hour
    spec.timeoutMilliseconds = 60_000
    spec.connectTimeoutMilliseconds = 60_000
    return AgentPlan.Source(fetch: spec, isRequired: required)
}

/// An agent behind its sockets, in a directory of its own.
final class Running: Sendable {
    let agent: Agent
    let server: ControlServer
    let journal: Journal
    let paths: AgentPaths
    private let directory: TemporaryDirectory
    private let isStopped = Mutex("test.stopped", false)

    /// Both ends of every connection are in this process: many a shell gives it 1,024 descriptors only.
    private static let useAllDescriptors: Void = {
        var descriptors = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &descriptors)
        descriptors.rlim_cur = min(descriptors.rlim_max, 65_536)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &descriptors)
    }()

    init(
        _ sources: [AgentPlan.Source],
        workers: Int = 2,
        limits: ClientLimits = ClientLimits(),
        in directory: TemporaryDirectory
    ) throws {
        Self.useAllDescriptors
        self.directory = directory
        paths = AgentPaths(runtimeDirectory: directory.path)
        agent = try Agent(AgentPlan(sources: sources, stateDirectory: directory.path("state"))) { _ in }
        // Never started: it takes no records and has no thread.
        journal = Journal(level: .error, warnWait: .max, reportInterval: .max)
        server = ControlServer(
            agent: agent,
            journal: journal,
            options: ControlServer.Options(
                workers: workers,
                paths: paths,
                inherited: [:],
                configFile: "/etc/agent",
                limits: limits
            )
        )
        try server.start()
        server.serveValues()
    }

    /// An agent with one file, `base.json`, and a snapshot of it.
    static func withDocument(
        _ text: String,
        workers: Int = 2,
        limits: ClientLimits = ClientLimits()
    ) throws -> Running {
        let directory = try TemporaryDirectory()
        let path = try directory.write("base.json", text)
        let running = try Running(
            [source("base", .file, "file://\(path)")],
            workers: workers,
            limits: limits,
            in: directory
        )
        try running.start()
        return running
    }

    deinit { stop() }

    /// Starts the agent, and waits until every source was asked and every worker knows of what came.
    func start() throws {
        try agent.start()
        try waitUntil("every source was asked") {
            agent.flightStatistics.inFlight == 0 && agent.sourceFacts.values.allSatisfy { $0.requests > 0 }
        }
    }

    func stop() {
        let isFirst = isStopped.withLock { isStopped in
            defer { isStopped = true }
            return !isStopped
        }
        guard isFirst else { return }
        server.stop(until: MonotonicTime.now.advanced(byNanoseconds: second / 10))
        _ = agent.stop(until: MonotonicTime.now.advanced(byNanoseconds: 10 * second))
    }

    func write(_ name: String, _ text: String) throws { try directory.write(name, text) }

    // MARK: Requests

    private func ask(
        _ method: String,
        _ target: String,
        on path: String,
        _ headers: [String: String] = [:]
    ) throws -> Answer {
        let client = try Client(path)
        try client.request(method, target, headers.merging(["Connection": "close"]) { own, _ in own })
        return try client.answer(hasBody: method != "HEAD")
    }

    func status(_ target: String, _ method: String = "GET") throws -> Answer {
        try ask(method, target, on: paths.statusSocket)
    }

    func config(_ target: String, _ method: String = "GET", _ headers: [String: String] = [:]) throws -> Answer {
        try ask(method, target, on: paths.configSocket, headers)
    }

    func control(_ target: String = "/v1/refresh", _ method: String = "POST") throws -> Answer {
        try ask(method, target, on: paths.controlSocket, ["Content-Length": "0"])
    }

    /// The value of one metric with its labels, as it stands in `/metrics`.
    func metric(_ name: String) throws -> Double? {
        let line = try status("/metrics").text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return line?.split(separator: " ").last.flatMap { Double($0) }
    }

    func report() throws -> StatusReport { try status("/v1/status").decoded() }
}
