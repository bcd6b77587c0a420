internal import AgentAPI
internal import AgentctlKit
internal import Glibc

/// Asks for the locks again and again, over restarts of the agent, until the command is ended.
struct LocksWatch {
    private var question: LocksQuestion
    let output: OutputForm
    let intervalMilliseconds: Int
    /// How many answers to show.
    let count: Int

    private var text = LocksWatchText()
    /// Whether the answer before this one came from the locks socket.
    private var wasFallback = false

    init(_ question: LocksQuestion, output: OutputForm, intervalMilliseconds: Int, count: Int?) {
        self.question = question
        self.output = output
        self.intervalMilliseconds = intervalMilliseconds
        self.count = count ?? .max
    }

    mutating func run() throws {
        // An agent that is not there to begin with is a mistake to be told, not to be waited for.
        var answer = try question.ask()
        let isScreen = output == .text && Terminal.size != nil
        if isScreen { Screen.enter() }
        defer { if isScreen { Screen.leave() } }
        var shown = 0
        var next = Self.now
        while true {
            try show(answer, isFirst: shown == 0, isScreen: isScreen)
            shown += 1
            if shown == count { return }
            next = max(next + UInt64(intervalMilliseconds), Self.now)
            answer = try askAgain(at: next, isScreen: isScreen)
            next = max(next, Self.now)
        }
    }

    /// Waits until it is time, and then for as long as the agent is away: whoever watches a restart wants to see its
    /// end.
    private mutating func askAgain(at time: UInt64, isScreen: Bool) throws -> LocksQuestion.Answer {
        Self.sleep(until: time)
        while true {
            do throws(Problem) { return try question.ask() } catch {
                guard error.exit == .notRunning || error.exit == .unknown else { throw error }
                if let line = text.away(error) { try tell(line, isScreen: isScreen) }
            }
            Self.sleep(until: Self.now + UInt64(intervalMilliseconds))
        }
    }

    private func tell(_ line: String, isScreen: Bool) throws {
        switch output {
        // Not a document: those who read them want nothing else.
        case .json: Terminal.note(String(line.dropLast()))
        case .text:
            let line = "\(WireTime.now.forPeople)  \(line)"
            try isScreen ? Screen.show(line) : Terminal.print("\n" + line)
        }
    }

    private mutating func show(
        _ answer: LocksQuestion.Answer,
        isFirst: Bool,
        isScreen: Bool
    ) throws {
        let newline = UInt8(ascii: "\n")
        let isNew = question.note != nil && !wasFallback
        wasFallback = question.note != nil
        guard output == .text else {
            if isNew, let note = question.note { Terminal.note("agentctl: \(note)") }
            // An answer is one line; whether it ends with one is up to the agent.
            return try Terminal.print(answer.body.filter { $0 != newline } + [newline])
        }
        let (what, table) = text.table(answer.report, at: Self.now, style: Terminal.style)
        let note = question.note.map { $0 + "\n" } ?? ""
        let page = "\(WireTime.now.forPeople)  \(what)\n\(note)\(table)"
        try isScreen ? Screen.show(page) : Terminal.print(isFirst ? page : "\n" + page)
    }

    /// Milliseconds of a clock that is never set.
    private static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000 + UInt64(time.tv_nsec) / 1_000_000
    }

    private static func sleep(until time: UInt64) {
        while true {
            let now = now
            guard now < time else { return }
            let left = time - now
            var pause = timespec(tv_sec: Int(left / 1_000), tv_nsec: Int(left % 1_000) * 1_000_000)
            // Cut short by a signal, such as a change of the terminal's size: the rest follows.
            _ = nanosleep(&pause, nil)
        }
    }
}
