import Foundation

/// Measures the agent from outside: what starting it, having it and asking it cost.
///
/// Usage: AgentBench BINARIES OUTPUT.json
@main
struct Main {
    static let rounds = 15

    static func main() throws {
        guard CommandLine.arguments.count == 3 else {
            print("usage: AgentBench BINARIES OUTPUT.json")
            exit(64)
        }
        let binaries = URL(filePath: CommandLine.arguments[1])
        let output = URL(filePath: CommandLine.arguments[2])
        var measurements: [Measurement] = []
        func add(_ measurement: Measurement) {
            print(measurement.line)
            measurements.append(measurement)
        }

        let agent = try Agent(binaries: binaries, keys: 1_000)
        defer { agent.end() }
        try agent.prepare()
        var starts: [Double] = []
        for _ in 0..<rounds {
            starts.append(try agent.start())
            agent.stop()
        }
        add(Measurement("start to READY, stored copy", "agentd", starts, unit: "ms", atMost: 30))

        _ = try agent.start()
        try settle(agent, binaries)
        add(Measurement("anonymous memory, 1000 keys", "agentd", [try agent.anonymousMemory()], unit: "MiB", atMost: 8))
        add(Measurement("stripped size", "agentd", [try strippedSize(binaries)], unit: "MB", atMost: 30))
        add(try statusAgainstCurl(agent, binaries))

        try FileManager.default.createDirectory(
            at: output.deletingLastPathComponent(),
            withIntermediateDirectories: true
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(measurements).write(to: output)
        print("written to \(output.path)")
        // exit() runs no defer.
        agent.end()
        exit(measurements.allSatisfy(\.met) ? 0 : 1)
    }

    /// Idle means that it has polled a few times since it started.
    private static func settle(_ agent: Agent, _ binaries: URL) throws {
        let deadline = Date.now + 30
        while Date.now < deadline {
            let report = try run(ctl(binaries), ["--runtime-dir", agent.file("run").path, "sources", "-o", "json"])
            let json = try JSONSerialization.jsonObject(with: report) as? [String: Any]
            let source = (json?["sources"] as? [[String: Any]])?.first
            if let requests = source?["requests"] as? Int, requests >= 3 { return }
            Thread.sleep(forTimeInterval: 0.1)
        }
        throw Agent.Failure(description: "the agent did not poll three times within 30 s")
    }

    private static func ctl(_ binaries: URL) -> URL { binaries.appending(path: "agentctl") }

    private static func strippedSize(_ binaries: URL) throws -> Double {
        let copy = FileManager.default.temporaryDirectory.appending(path: "agentd-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: copy) }
        _ = try run(URL(filePath: "/usr/bin/strip"), ["-o", copy.path, binaries.appending(path: "agentd").path])
        let size = try FileManager.default.attributesOfItem(atPath: copy.path)[.size] as? Int ?? 0
        return Double(size) / 1e6
    }

    private static func statusAgainstCurl(_ agent: Agent, _ binaries: URL) throws -> Measurement {
        let run = agent.file("run").path
        var ours: [Double] = []
        var theirs: [Double] = []
        for _ in 0..<25 {
            ours.append(try timed(ctl(binaries), ["--runtime-dir", run, "status"]))
            theirs.append(
                try timed(
                    URL(filePath: "/usr/bin/curl"),
                    ["-s", "--unix-socket", run + "/status.sock", "http://agent/v1/status"]
                )
            )
        }
        return Measurement("agentctl status", "agentctl", ours, against: "curl", theirs, unit: "ms", atMost: 3)
    }

    private static func timed(_ program: URL, _ arguments: [String]) throws -> Double {
        let begin = DispatchTime.now()
        _ = try run(program, arguments)
        return Double(DispatchTime.now().uptimeNanoseconds - begin.uptimeNanoseconds) / 1e6
    }

    private static func run(_ program: URL, _ arguments: [String]) throws -> Data {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = program
        process.arguments = arguments
        process.standardOutput = pipe
        try process.run()
        let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Agent.Failure(description: "\(program.lastPathComponent) ended with \(process.terminationStatus)")
        }
        return data
    }
}
