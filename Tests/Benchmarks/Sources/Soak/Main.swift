import BenchKit
import Foundation

/// Runs the agent for as long as told under change, faults, clients, an operator and restarts, and watches all of it.
///
/// Usage: Soak SECONDS PROGRAMS OUTPUT.json [OUTPUT.svg]
///        Soak check PROGRAMS
///
/// PROGRAMS is a directory with agentd and agentctl. With `SOAK_PLANT=leak`, `stale`, `half`, `dead` or `idle`
/// something is wrong on purpose; `check` does so with each of them, and wants it found.
///
/// Ends with 0 when every promise was kept, what should be flat was, and everything was exercised; else with 1.
@main
struct Main {
    static func main() throws {
        let words = Array(CommandLine.arguments.dropFirst())
        Interrupt.listen()
        if words.count == 4, words[0] == "hostile", let seconds = Double(words[3]) {
            return Hostile.run(config: words[1], status: words[2], seconds: min(seconds, 60))
        }
        if words.count == 2, words[0] == "check" { exit(try Check.run(words[1]) ? 0 : 1) }
        guard 3...4 ~= words.count, let seconds = Double(words[0]), 5...7 * 86_400 ~= seconds else {
            print("usage: Soak SECONDS PROGRAMS OUTPUT.json [OUTPUT.svg]\n       Soak check PROGRAMS")
            exit(64)
        }
        let plant = ProcessInfo.processInfo.environment["SOAK_PLANT"].map {
            (name: $0, plant: Plan.Plant(rawValue: $0))
        }
        if let plant, plant.plant == nil {
            print(
                "SOAK_PLANT is '\(plant.name)'; there are \(Plan.Plant.allCases.map(\.rawValue).joined(separator: ", "))"
            )
            exit(64)
        }
        Figures.limitDescriptors(to: 4_096)
        let output = URL(filePath: words[2])
        let picture =
            words.count == 4 ? URL(filePath: words[3]) : output.deletingPathExtension().appendingPathExtension("svg")
        do {
            let soak = try Soak(Plan(seconds: seconds, plant: plant?.plant), binaries: URL(filePath: words[1]))
            let report = try soak.run()
            try report.write(output, picture)
            report.tell()
            print("written to \(output.path) and \(picture.path)")
            fflush(nil)
            exit(report.isGood ? 0 : 1)
        } catch {
            print("FAIL  no soak: \(error)")
            exit(1)
        }
    }
}
