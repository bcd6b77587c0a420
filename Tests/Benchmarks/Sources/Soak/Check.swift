import BenchKit
import Foundation

/// Whether the soak finds what it is there to find: short ones, in each of which something is wrong on purpose.
enum Check {
    static func run(_ binaries: String) throws -> Bool {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        var isSharp = true
        for plant in Plan.Plant.allCases where !Interrupt.isRaised {
            let output = FileManager.default.temporaryDirectory.appending(path: "soak-check-\(getpid()).json")
            let picture = output.deletingPathExtension().appendingPathExtension("svg")
            defer {
                try? FileManager.default.removeItem(at: output)
                try? FileManager.default.removeItem(at: picture)
            }
            var environment = ProcessInfo.processInfo.environment
            environment["SOAK_PLANT"] = plant.rawValue
            let child = try Child(own, ["20", binaries, output.path], environment: environment)
            let deadline = Date.now + 150
            while child.end == nil, Date.now < deadline, !Interrupt.isRaised { usleep(100_000) }
            child.stop(within: 60)
            let report = (try? Data(contentsOf: output)).map { Agent.json([UInt8]($0)) } ?? [:]
            let findings = report["findings"] as? [String] ?? []
            func holds(_ other: Plan.Plant) -> Bool { findings.contains { $0.contains(other.finding) } }
            // What was not planted is not found; of an agent that has ended early not much can be said.
            let others =
                plant == .dead ? [] : [Plan.Plant.leak, .stale, .half, .dead].filter { $0 != plant && holds($0) }
            let isFound = child.end == 1 && holds(plant) && others.isEmpty
            print("\(isFound ? "PASS" : "FAIL")  planted \(plant.rawValue): \(isFound ? plant.finding : "\(findings)")")
            fflush(nil)
            isSharp = isSharp && isFound
        }
        return isSharp
    }
}
