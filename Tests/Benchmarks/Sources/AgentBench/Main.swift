import BenchKit
import Foundation

/// Measures the agent from outside: what starting it, having it, asking it and watching it cost.
///
/// Usage: AgentBench BINARIES OUTPUT.json [CASE...]
///
/// Ends with 0 when all goals are met, with 1 when one is missed or a case went wrong.
@main
struct Main {
    static let rounds = 15

    static func main() throws {
        guard CommandLine.arguments.count >= 3 else {
            print("usage: AgentBench BINARIES OUTPUT.json [CASE...]")
            exit(64)
        }
        let binaries = URL(filePath: CommandLine.arguments[1])
        let output = URL(filePath: CommandLine.arguments[2])
        let wanted = CommandLine.arguments.dropFirst(3)
        let cases: [(name: String, descriptors: rlim_t?, measure: () throws -> [Measurement])] = [
            ("basics", 1_024, { try basics(binaries) }),
            ("reads", 1_024, { try LocalReads(binaries: binaries).againstNginx() }),
            ("stalled", 4_096, { try LocalReads(binaries: binaries).besideStalled() }),
            ("disk", 1_024, { try LocalReads(binaries: binaries).besideBrokenDisk() }),
            ("siege", 4_096, { try LocalReads(binaries: binaries).underSiege() }),
            ("growth", 1_024, { try Growth(binaries: binaries).measure() }),
            ("folding", 1_024, { try Folding(binaries: binaries).measure() }),
            ("polling", 4_096, { try Polling(binaries: binaries).measure() }),
            ("journey", 1_024, { try Journey(binaries: binaries).measure() }),
            ("outage", 8_192, { try Outage(binaries: binaries).measure() }),
            ("watchers", nil, { try Watching(binaries: binaries).live() }),
            ("deaf", 4_096, { try Watching(binaries: binaries).deaf() }),
        ]
        var measurements: [Measurement] = []
        var wrong = 0
        for (name, descriptors, measure) in cases where wanted.isEmpty || wanted.contains(name) {
            Figures.limitDescriptors(to: descriptors)
            do {
                let found = try measure()
                for measurement in found { print(measurement.line) }
                // To be seen when it is known, also through a pipe.
                fflush(nil)
                measurements += found
            } catch {
                print("\(name): WRONG: \(error)")
                wrong += 1
            }
        }
        try FileManager.default.createDirectory(
            at: output.deletingLastPathComponent(),
            withIntermediateDirectories: true
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(measurements).write(to: output)
        print("written to \(output.path)")
        let missed = measurements.filter { !$0.met }
        for measurement in missed { print("MISSED \(measurement.name)") }
        exit(wrong == 0 && missed.isEmpty ? 0 : 1)
    }

    private static func basics(_ binaries: URL) throws -> [Measurement] {
        let agent = try Agent(binaries: binaries, keys: 1_000)
        defer { agent.end() }
        try agent.prepare()
        var starts: [Double] = []
        for _ in 0..<rounds {
            starts.append(try agent.start())
            agent.stop()
        }
        _ = try agent.start()
        try settle(agent, binaries)
        let memory = try agent.anonymousMemory() / Double(1 << 20)
        return [
            Measurement("start to READY, stored copy", "agentd", starts, unit: "ms", .atMost(30)),
            Measurement("anonymous memory, 1000 keys", "agentd", [memory], unit: "MiB", .atMost(8)),
            Measurement("stripped size", "agentd", [try strippedSize(binaries)], unit: "MB", .atMost(30)),
            try statusAgainstCurl(agent, binaries),
        ]
    }

    /// Idle means that it has polled a few times since it started.
    private static func settle(_ agent: Agent, _ binaries: URL) throws {
        let deadline = Date.now + 30
        while Date.now < deadline {
            let report = try Tools.run(
                ctl(binaries),
                ["--runtime-dir", agent.file("run").path, "sources", "-o", "json"]
            )
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
        _ = try Tools.run(URL(filePath: "/usr/bin/strip"), ["-o", copy.path, binaries.appending(path: "agentd").path])
        let size = try FileManager.default.attributesOfItem(atPath: copy.path)[.size] as? Int ?? 0
        return Double(size) / 1e6
    }

    private static func statusAgainstCurl(_ agent: Agent, _ binaries: URL) throws -> Measurement {
        let run = agent.file("run").path
        var ours: [Double] = []
        var theirs: [Double] = []
        for _ in 0..<25 {
            ours.append(try Tools.timed(ctl(binaries), ["--runtime-dir", run, "status"]))
            theirs.append(
                try Tools.timed(
                    URL(filePath: "/usr/bin/curl"),
                    ["-s", "--unix-socket", agent.statusSocket, "http://agent/v1/status"]
                )
            )
        }
        return Measurement("agentctl status", "agentctl", ours, against: "curl", theirs, unit: "ms", .atMost(3))
    }
}
