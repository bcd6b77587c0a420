import AgentTestSupport
internal import Foundation
import TestSupport

/// What an operator has in force.
struct Held: Equatable, CustomStringConvertible {
    var pin: Int?
    var isFrozen = false

    var description: String { "pin \(pin.map(String.init) ?? "none")\(isFrozen ? ", frozen" : "")" }

    init() {}

    init(_ json: JSONValue) {
        pin = json["pin"]["generation"].int
        isFrozen = json["freeze"]["uid"].int != nil
    }
}

/// Gives commands without end, and knows what was answered.
final class Operator: @unchecked Sendable {
    // SAFETY: what changes is touched with `lock` held alone.
    private let agent: FaultAgent
    private let lock = NSLock()
    private var isAtWork = true
    private var hasEnded = false
    /// What is in force as far as it was answered, and what it is if the last command was carried out without an answer.
    private var confirmed: Held
    private var attempted: Held?
    private var contents: [Int: Int]
    private var count = 0
    /// What was ever in force or may have been, in order, and which of it was the first that may be so still.
    private var past: [Held]
    private var oldest = 0

    init(_ agent: FaultAgent, _ held: Held, _ contents: [Int: Int]) {
        self.agent = agent
        confirmed = held
        self.contents = contents
        past = [held]
    }

    var answered: Int { lock.withLock { count } }
    var possible: [Held] { lock.withLock { [confirmed] + (attempted.map { [$0] } ?? []) } }
    /// How far it has come: what was in force before this is not any more.
    var mark: Int { lock.withLock { oldest } }
    /// What may have been in force at some moment since `mark` was read.
    func possible(since mark: Int) -> [Held] { lock.withLock { Array(past[mark...]) } }
    /// By generation: the document that was read in it.
    var seen: [Int: Int] { lock.withLock { contents } }
    func stop() { lock.withLock { isAtWork = false } }

    /// Whether it gives no more commands.
    var isDone: Bool { lock.withLock { hasEnded } }

    func work() {
        defer { lock.withLock { hasEnded = true } }
        while lock.withLock({ isAtWork }), agent.isRunning {
            _ = try? agent.refresh("app")
            look()
            // Where nobody knows what became of one, another would make it two that nobody knows.
            guard (try? command()) == true else { return }
        }
    }

    private func look() {
        guard let value = try? agent.value(""), value.status == 200,
            let generation = value.headers["agent-generation"].flatMap({ Int($0) }),
            let number = (try? value.json()).flatMap({ NumberedDocument.sequence(of: $0["app"]) })
        else { return }
        lock.withLock { contents[generation] = number }
    }

    /// - Returns: whether it is known what became of it.
    private func command() throws -> Bool {
        var wanted = lock.withLock { confirmed }
        let path: String
        switch Int.random(in: 0..<6) {
        case 0:
            // Only what was seen is of use to who compares afterwards.
            guard let generation = lock.withLock({ contents.keys.sorted().suffix(5).randomElement() }) else {
                return true
            }
            wanted.pin = generation
            path = "/v1/rollback?generation=\(generation)"
        case 1: (path, wanted.pin) = ("/v1/unpin", nil)
        case 2: (path, wanted.isFrozen) = ("/v1/freeze", true)
        case 3:
            // What is in use; nobody else changes that.
            (path, wanted.pin) = ("/v1/pin", try wanted.pin ?? agent.status()["generation"].int)
        default: (path, wanted.isFrozen) = ("/v1/thaw", false)
        }
        lock.withLock {
            attempted = wanted
            past.append(wanted)
        }
        let answer = try HTTPClient.send("POST", path, to: agent.controlSocket, timeout: .seconds(30))
        let json = try answer.json()
        return lock.withLock {
            // Refused, it is not in force; what is not answered as durable may be so or not.
            if (400..<500).contains(answer.status) {
                attempted = nil
                return true
            }
            guard answer.status == 200, json["durable"].bool == true else { return false }
            confirmed = Held(json["operator"])
            attempted = nil
            past.append(confirmed)
            oldest = past.count - 1
            count += 1
            return true
        }
    }
}
