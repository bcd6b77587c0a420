import BenchKit
import Foundation

/// Ends the agent and starts it again: once it has lived for long, again and again.
final class Lives: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: the marks are touched under `lock`.
    struct Mark: Codable {
        /// `killed` or `stopped`.
        let how: String
        let at: Double
        let backAfter: Double
    }

    private let agent: Agent
    private let theOperator: Operator
    private let plan: Plan
    private let lock = NSLock()
    private var marks: [Mark] = []

    init(_ agent: Agent, _ theOperator: Operator, _ plan: Plan) {
        self.agent = agent
        self.theOperator = theOperator
        self.plan = plan
    }

    var all: [Mark] { lock.withLock { marks } }

    func run(_ crew: Crew) throws {
        guard crew.pause(plan.firstLife) else { return }
        var isKill = true
        repeat {
            try theOperator.turn.withLock {
                let at = agent.promises.seconds
                agent.end(by: isKill ? SIGKILL : SIGTERM)
                crew.pause(Double.random(in: 0...0.5))
                try agent.start()
                let mark = Mark(how: isKill ? "killed" : "stopped", at: at, backAfter: agent.promises.seconds - at)
                lock.withLock { marks.append(mark) }
            }
            isKill.toggle()
        } while crew.pause(Double.random(in: plan.laterLives))
    }
}
