import LockLadder

// MARK: Threads

private enum ThreadCalling: Work {
    static func run(_ group: ThreadSingleFlight<String, UInt64>, _ index: Int, _ round: inout Round) {
        let key = KeySequence.key(0)
        @inline(__always)
        func step() -> UInt64 {
            guard let value = try? group.value(for: key) else { fatalError("a flight failed") }
            return value
        }
        round.singles(step)
    }
}

// MARK: Callbacks

private typealias Group = SingleFlight<String, UInt64>

private enum CallbackCalling: Work {
    static func run(_ group: Group, _ index: Int, _ round: inout Round) {
        let key = KeySequence.key(0)
        let answer = Box<UInt64>(0)
        @inline(__always)
        func step() -> UInt64 {
            guard (try? group.join(key, .shared) { value in answer.value = value }) != nil else {
                fatalError("a flight was refused")
            }
            return answer.value
        }
        round.singles(step)
    }
}

// MARK: Tasks

private func measureTask(_ options: Options, _ group: AsyncSingleFlight<String, UInt64>) -> Report {
    let stages = options.count == nil ? Stage.all(options) : [Stage(purpose: .measure, nanoseconds: 0)]
    let phase = Phase()
    let tally = Box(Tally())
    let isOver = WakeSignal()
    if options.count != nil { phase.end() }
    Task.detached {
        let key = KeySequence.key(0)
        @inline(__always)
        func step() async -> UInt64 {
            do { return try await group.value(for: key) } catch { fatalError("a flight failed: \(error)") }
        }
        var round = Round(options, index: 0, phase, stages)
        await round.singles(step)
        tally.value = round.tally
        isOver.raise()
    }
    if options.count == nil { phase.lead(stages) }
    _ = isOver.wait(until: nil)
    return Report([tally.value])
}

enum FlightAlone {
    static let subjects = [
        Subject("async") { options in
            measureTask(options, AsyncSingleFlight<String, UInt64>("bench.flight") { _ in 42 })
        },
        Subject("async-callers") { options in
            measureTask(options, AsyncSingleFlight<String, UInt64>("bench.flight", task: .callers) { _ in 42 })
        },
        Subject("threads") { options in
            let group = ThreadSingleFlight<String, UInt64>("bench.flight") { _, _ in 42 }
            return measure(ThreadCalling.self, group, options, threads: 1).report
        },
        Subject("callback") { options in
            let itself = Box<Group?>(nil)
            let group = Group(
                "bench.flight",
                begin: { flight, _ in itself.value?.land(flight, with: 42) },
                cancel: { _ in },
                isFailure: { _ in false }
            )
            itself.value = group
            defer { itself.value = nil }
            return measure(CallbackCalling.self, group, options, threads: 1).report
        },
    ]
}
