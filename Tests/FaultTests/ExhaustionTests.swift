internal import Foundation
import TestSupport
import Testing

/// A runner may do all of this; elsewhere it takes root.
let mayMount = geteuid() == 0 || Workspace.isContinuousIntegration

@Suite("Nothing left of something")
struct ExhaustionTests {
    private static func write(_ version: Int, to agent: TemporaryDirectory) throws {
        try agent.write("local.json", #"{"version": \#(version), "text": "\#(String(repeating: "x", count: 20_000))"}"#)
    }

    private static func settings(_ directory: TemporaryDirectory, poll: String = "1h") -> AgentSettings {
        let url = "file://\(directory.path("local.json"))"
        return AgentSettings(sources: ["local": SourceSettings(url: url, poll: poll, maxBytes: "\(maxBytes)")])
    }

    /// Of a document.
    private static let maxBytes = 1 << 20

    /// Holds what the agent costs from now on against what that may be: two documents, and 8 MiB.
    private static func count(_ agent: FaultAgent) throws -> Int {
        try Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/\(agent.pid)/clear_refs"))
        return try agent.memory("VmRSS") + 2 * maxBytes + 8 << 20
    }

    // MARK: - The state directory

    @Test(
        "No room for stored copies: values go on, status tells, and room is enough to recover",
        .enabled(if: mayMount)
    )
    func fullDisk() throws {
        let agent = try FaultAgent(stateMount: "size=256k,mode=700") { directory in
            try Self.write(1, to: directory)
            return Self.settings(directory)
        }
        try agent.start()
        try agent.waitUntilReady()
        try agent.waitUntilDurable()
        let ballast = agent.mountedState + "/ballast"
        try Self.fill(ballast)
        let allowed = try Self.count(agent)
        try expectNotDurable(agent)
        unlink(ballast)
        try expectDurableAgain(agent, version: 3)
        #expect(try agent.memory("VmHWM") <= allowed)
    }

    @Test("A state directory that becomes read-only, and writable again", .enabled(if: mayMount))
    func readOnly() throws {
        let agent = try FaultAgent(stateMount: "size=1m,mode=700") { directory in
            try Self.write(1, to: directory)
            return Self.settings(directory)
        }
        try agent.start()
        try agent.waitUntilReady()
        try agent.waitUntilDurable()
        try agent.makeStateReadOnly()
        try expectNotDurable(agent)
        try agent.makeStateWritable()
        try expectDurableAgain(agent, version: 3)
    }

    @Test("A state directory that is read-only from the start", .enabled(if: mayMount))
    func readOnlyFromTheStart() throws {
        let agent = try FaultAgent(stateMount: "size=1m,mode=700,ro") { directory in
            try Self.write(1, to: directory)
            return Self.settings(directory)
        }
        try agent.start()
        try agent.waitUntilReady()
        try expectNotDurable(agent)
        try agent.remountStateWritable()
        try expectDurableAgain(agent, version: 3)
    }

    /// Publishes versions 2 and 3, which nobody can keep.
    private func expectNotDurable(_ agent: FaultAgent) throws {
        let before = try agent.status()["generation"].int ?? 0
        for version in 2...3 {
            try Self.write(version, to: agent.directory)
            #expect(try agent.refresh().status == 200)
            #expect(try agent.value("version").line == "\(version)")
            try waitUntil("not_durable") { try agent.reasons() == ["not_durable"] }
            let status = try agent.status()
            #expect(status["generation"].int == before + version - 1)
            #expect(status["durable_generation"].int ?? .max <= before)
        }
        let told = try agent.control("status")
        #expect(told.code == 1)
        #expect(told.standardOutput.contains("would not survive a crash"), "\(told)")
        try agent.waitUntilLogged("would not survive a crash")
    }

    private func expectDurableAgain(_ agent: FaultAgent, version: Int) throws {
        // Nobody asks for it.
        try agent.waitUntilHealthy()
        try agent.waitUntilDurable()
        #expect(try agent.control("status").code == 0)
        #expect(readText(agent.mountedState + "/documents/local").contains(#""version": \#(version)"#))
        try agent.waitUntilLogged("the state directory can be written again")
    }

    /// Writes until there is no room.
    private static func fill(_ path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let page = [UInt8](repeating: 0, count: 4_096)
        for size in [page.count, 1] {
            while Glibc.write(descriptor, page, size) > 0 {}
        }
        try #require(errno == ENOSPC)
    }

    // MARK: - Descriptors

    @Test(
        "No descriptors left: who is connected is served, fetching fails and is told, nothing spins",
        arguments: [0, 1]
    )
    func descriptors(_ spare: Int) throws {
        let agent = try FaultAgent { directory in
            try Self.write(1, to: directory)
            var settings = Self.settings(directory, poll: "1s")
            let more = ["guard: {max_bytes: \(Self.maxBytes)}"]
            settings.sources["app"] = RemoteOrigin.settings(in: directory, poll: "1s", more: more)
            settings.layers = ["app", "local"]
            return settings
        }
        let remote = try RemoteOrigin(in: agent.directory) { .document(#"{"greeting": "hello"}"#, to: $0) }
        try agent.start()
        try agent.waitUntilReady()
        try agent.waitUntilHealthy()
        let allowed = try Self.count(agent)
        let status = try KeptConnection(agent.directory.path("run/status.sock"))
        let config = try KeptConnection(agent.directory.path("run/config.sock"))
        let control = try KeptConnection(agent.directory.path("run/control.sock"))
        #expect(try status.ask("GET", "/readyz").status == 200)
        #expect(try config.ask("GET", "/v1/config/greeting").text == #""hello""#)
        #expect(try control.ask("POST", "/v1/refresh").status == 200)

        // Numbers are given from the lowest on.
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(agent.pid)/fd").compactMap { Int($0) }
        let free = (0...).first { !open.contains($0) } ?? 0
        let usual = try Self.limit(of: agent)
        try Self.limit(agent, to: "\(free + spare):\(usual)")

        let more = try (0..<4).map { number in
            let name = number % 2 == 0 ? "status" : "config"
            let connection = try KeptConnection(agent.directory.path("run/\(name).sock"))
            try connection.send("GET", "/readyz")
            return connection
        }
        let locks = try KeptConnection(agent.directory.path("run/locks.sock"))
        try locks.send("GET", "/v1/locks")
        // A connection to the origin that was kept would need no descriptor.
        try waitUntil("fetching to fail", deadline: .seconds(20)) {
            let told = try JSONValue(parsing: status.ask("GET", "/v1/status").text)
            return told["health"]["level"].string == "degraded"
                && (spare > 0 || told["health"]["reasons"].array.contains { $0["code"].string == "source_failing" })
        }
        #expect(try config.ask("GET", "/v1/config/greeting").text == #""hello""#)
        #expect(try config.ask("GET", "/v1/config/version").text == "1")
        let outcomes = try JSONValue(parsing: control.ask("POST", "/v1/refresh").text)["sources"]
        let codes = ["app", "local"].map { outcomes[$0]["error"]["code"].string }
        // With one to spare, one of the two gets it.
        #expect(Set(codes.compactMap(\.self)).isSubset(of: ["connect", "cannot_read"]), "\(outcomes)")
        #expect(codes[0] == "connect" && (spare > 0 || codes[1] == "cannot_read"), "\(outcomes)")

        let used = agent.processorTime()
        pauseThread(.seconds(1))
        let spent = agent.processorTime() - used
        #expect(spent < 0.25, "\(spent) s of processor time within a second")
        let metrics = try status.ask("GET", "/metrics").text
        let waits = metrics.split(separator: "\n").filter {
            $0.hasPrefix("config_agent_clients_cut_off_total") && $0.contains("limit=\"descriptors\"")
                && !$0.hasSuffix(" 0")
        }
        #expect(spare > 0 || !waits.isEmpty, "\(metrics)")

        try Self.limit(agent, to: "\(usual):\(usual)")
        try waitUntil("recovery", deadline: .seconds(30)) {
            try JSONValue(parsing: status.ask("GET", "/v1/status").text)["health"]["level"].string == "healthy"
        }
        try agent.waitUntilReady()
        #expect(try agent.control("get", "greeting").standardOutput == "\"hello\"\n")
        remote.origin.answer { .document(#"{"greeting": "good morning"}"#, to: $0) }
        #expect(try agent.refresh("app").status == 200)
        #expect(try agent.value("greeting").line == #""good morning""#)
        #expect(try agent.memory("VmHWM") <= allowed)
        #expect(try HTTPClient.send("GET", "/", to: .unix(agent.directory.path("run/locks.sock"))).status == 200)
        withExtendedLifetime((more, locks, remote)) {}
    }

    private static func limit(of agent: FaultAgent) throws -> Int {
        let line = readText("/proc/\(agent.pid)/limits").split(separator: "\n").first { $0.hasPrefix("Max open files") }
        let numbers = line?.split(separator: " ").compactMap { Int($0) } ?? []
        return try #require(numbers.first)
    }

    private static func limit(_ agent: FaultAgent, to limit: String) throws {
        try Program.check(["prlimit", "--pid", "\(agent.pid)", "--nofile=\(limit)"])
    }

    // MARK: - Memory

    /// What is too much, each in its own way.
    enum Load: String, CaseIterable {
        /// Can be received, but not be taken apart.
        case texts, manyTexts, values
        /// Cannot even be received.
        case everything
        /// Little to receive. It grows when it is taken apart: a long name stands above many short ones.
        case names

        func body() -> [UInt8] {
            switch self {
            case .texts: Self.object(60, Self.text)
            case .manyTexts: Self.object(120, Self.text)
            case .values: Self.object(60, "{\(Self.members(4_000))}")
            case .everything: Self.object(400, Self.text)
            case .names: Array("{\"\(String(repeating: "n", count: 4_000))\":{\(Self.members(16_000))}}".utf8)
            }
        }

        private static let text = "\"\(String(repeating: "x", count: 64 << 10))\""

        private static func members(_ count: Int) -> String {
            (0..<count).map { "\"k\($0)\":\($0)" }.joined(separator: ",")
        }

        /// The same value again and again, `size` MiB of it.
        private static func object(_ size: Int, _ value: String) -> [UInt8] {
            let bytes = Array(value.utf8)
            var object: [UInt8] = []
            object.reserveCapacity((size + 1) << 20)
            var number = 0
            while object.count < size << 20 {
                number += 1
                object += Array("\(number == 1 ? "{" : ",")\"part\(number)\":".utf8)
                object += bytes
            }
            return object + [UInt8(ascii: "}")]
        }
    }

    @Test(
        "A document beyond all memory: the agent lives, its values stay, the other sources go on",
        arguments: Load.allCases
    )
    func memory(_ load: Load) throws {
        let agent = try FaultAgent { directory in
            try Self.write(1, to: directory)
            var settings = Self.settings(directory, poll: "1s")
            settings.sources["app"] = RemoteOrigin.settings(
                in: directory,
                more: ["guard: {max_bytes: 512MiB, max_keys: 10000000}"]
            )
            settings.layers = ["app", "local"]
            return settings
        }
        let remote = try RemoteOrigin(in: agent.directory) { .document(#"{"greeting": "hello"}"#, to: $0) }
        try agent.start()
        try agent.waitUntilReady()
        try agent.waitUntilHealthy()
        let line = readText("/proc/\(agent.pid)/status").split(separator: "\n").first { $0.hasPrefix("VmSize:") }
        let used = try #require(line.flatMap { Int($0.filter(\.isNumber)) }) << 10
        let room = load == .names ? 96 << 20 : 256 << 20
        try Program.check(["prlimit", "--pid", "\(agent.pid)", "--as=\(used + room)"])

        let body = load.body()
        remote.origin.answer { _ in .http(200, body: body) }
        _ = try? agent.refresh("app", timeout: .seconds(120))
        try #require(agent.isRunning, "\(agent.log)")
        let failure = try agent.status()["sources"]["app"]["last_error"]
        #expect(["no_memory", "memory"].contains(failure["code"].string), "\(failure)")
        #expect(try agent.value("greeting").line == #""hello""#)
        try Self.write(2, to: agent.directory)
        try waitUntil("the other source", deadline: .seconds(20)) { try agent.value("version").line == "2" }

        remote.origin.answer { .document(#"{"greeting": "good morning"}"#, to: $0) }
        #expect(try agent.refresh("app").status == 200)
        #expect(try agent.value("greeting").line == #""good morning""#)
        try agent.waitUntilHealthy()
    }
}

extension FaultAgent {
    /// In bytes.
    fileprivate func memory(_ field: String) throws -> Int {
        let line = readText("/proc/\(pid)/status").split(separator: "\n").first { $0.hasPrefix(field + ":") }
        guard let kilobytes = line.flatMap({ Int($0.filter(\.isNumber)) }) else {
            throw ProgramFailed(description: "no \(field) of process \(pid)")
        }
        return kilobytes << 10
    }
}
