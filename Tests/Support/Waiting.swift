internal import Foundation

/// What a test waited for in vain.
public struct TimedOut: Error, CustomStringConvertible {
    public var description: String
}

/// Repeats a condition until it holds.
///
/// - Throws: ``TimedOut`` when it does not hold in time; whatever the condition threw last is then part of the text.
public func waitUntil(
    _ what: String,
    deadline: Duration = .seconds(60),
    every pause: Duration = .milliseconds(10),
    _ condition: () throws -> Bool
) throws {
    let end = ContinuousClock.now + deadline
    var lastError: (any Error)?
    repeat {
        do {
            if try condition() { return }
            lastError = nil
        } catch {
            lastError = error
        }
        pauseThread(pause)
    } while ContinuousClock.now < end
    let cause = lastError.map { " (last error: \($0))" } ?? ""
    throw TimedOut(description: "waited \(deadline) in vain: \(what)\(cause)")
}

/// Repeats a question until it has an answer.
public func waitFor<Answer>(
    _ what: String,
    deadline: Duration = .seconds(60),
    every pause: Duration = .milliseconds(10),
    _ question: () throws -> Answer?
) throws -> Answer {
    var answer: Answer?
    try waitUntil(what, deadline: deadline, every: pause) {
        answer = try question()
        return answer != nil
    }
    guard let answer else { throw TimedOut(description: what) }
    return answer
}

/// Lets the calling thread sleep.
public func pauseThread(_ duration: Duration) {
    Thread.sleep(forTimeInterval: duration.inSeconds)
}

extension Duration {
    /// The same as a number.
    public var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}

/// Runs the same work on many threads at once, for work that blocks, and waits for all of it.
///
/// - Returns: What each call gave, by its number.
public func onThreads<Result: Sendable>(
    _ count: Int,
    _ work: @escaping @Sendable (Int) throws -> Result
) throws -> [Result] {
    let pending = PendingThreads(count: count, work)
    return try pending.results()
}

/// Threads that were started and whose results are wanted later.
public final class PendingThreads<Result: Sendable>: @unchecked Sendable {
    private let condition = NSCondition()
    private var outcomes: [Swift.Result<Result, any Error>?]

    /// Starts the threads.
    public init(count: Int, _ work: @escaping @Sendable (Int) throws -> Result) {
        outcomes = Array(repeating: nil, count: count)
        for index in 0..<count {
            let thread = Thread { [self] in
                let outcome = Swift.Result { try work(index) }
                condition.withLock {
                    outcomes[index] = outcome
                    condition.broadcast()
                }
            }
            thread.stackSize = 512 * 1024
            thread.start()
        }
    }

    /// Waits for all of them.
    public func results(deadline: Duration = .seconds(240)) throws -> [Result] {
        let end = Date().addingTimeInterval(deadline.inSeconds)
        return try condition.withLock {
            while outcomes.contains(where: { $0 == nil }) {
                guard condition.wait(until: end) else {
                    throw TimedOut(description: "threads did not end within \(deadline)")
                }
            }
            return try outcomes.compactMap { try $0?.get() }
        }
    }
}
