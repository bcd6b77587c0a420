import BenchKit
import Foundation

/// What the agent promises, as far as it is watched here.
enum Promise: String, CaseIterable {
    case wholeDocuments = "no reader sees half a document, or two mixed"
    case sequenceForward = "a source never goes back, but by an operator's word"
    case generationForward = "the generation never goes back, also over restarts"
    case durableBehind = "durable_generation is never ahead of generation"
    case durableSurvives = "what was durable is there after a kill"
    case lastGoodServed = "what was published once is always served"
    case readInTime = "a read is answered within a second"
    case nothingRefusedServed = "nothing forged, and nothing that breaks a rule, is served"
    case healthTold = "while a source fails for long, health is not 'healthy'"
    case newestArrives = "what is newest arrives while its source is well"
    case held = "what is pinned or frozen stays"
    case watchersWhole = "watchers are told whole states, and never go back"
    case watchersCurrent = "watchers are told the newest state"
    case commandsDone = "commands are done, or refused for a reason"
    case staysAlive = "the agent never ends by itself"
    case comesBack = "it starts within its time, and ends within its time"
    case recovers = "when faults are over all is healthy and newest"
}

/// How often each promise was looked at, and how often it was broken.
final class Promises: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: all is touched under `lock`.
    struct Violation: Codable {
        let promise: String
        /// Seconds since the soak began.
        let at: Double
        let details: String
    }

    static let mostKept = 100

    private let lock = NSLock()
    private var checked: [Promise: Int] = [:]
    private var broken: [Promise: Int] = [:]
    private var kept: [Violation] = []
    private var excused: [String: Int] = [:]
    let begin = Figures.now

    var seconds: Double { Double(Figures.now - begin) / 1e9 }

    func check(_ promise: Promise, _ holds: Bool, _ details: @autoclosure () -> String) {
        let text = holds ? nil : details()
        lock.withLock {
            checked[promise, default: 0] += 1
            guard let text else { return }
            broken[promise, default: 0] += 1
            guard kept.count < Self.mostKept else { return }
            kept.append(Violation(promise: promise.rawValue, at: seconds, details: String(text.prefix(600))))
            print("BROKEN at \(String(format: "%.1f", seconds)) s: \(promise.rawValue): \(text.prefix(600))")
            fflush(nil)
        }
    }

    /// Something that would have counted but for the machine, which did not run this program either.
    func excuse(_ what: String) { lock.withLock { excused[what, default: 0] += 1 } }

    func count(_ promise: Promise) -> (checked: Int, broken: Int) {
        lock.withLock { (checked[promise] ?? 0, broken[promise] ?? 0) }
    }

    var violations: [Violation] { lock.withLock { kept } }
    var excuses: [String: Int] { lock.withLock { excused } }
}
