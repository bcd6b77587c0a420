import Foundation

/// Threads that go on until they are told to stop.
final class Crew: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: all is touched under `condition`.
    private let condition = NSCondition()
    private var isOver = false
    private var working: [String] = []
    private var failures: [String] = []

    /// Whether the crew's time is not over.
    var goesOn: Bool { condition.withLock { !isOver } }

    /// What went wrong with the soak itself.
    var troubles: [String] { condition.withLock { failures } }

    func start(_ name: String, _ body: @escaping @Sendable () throws -> Void) {
        condition.withLock { working.append(name) }
        let thread = Thread { [self] in
            var trouble: String?
            do { try body() } catch { trouble = "\(name): \(error)" }
            condition.withLock {
                working.remove(at: working.firstIndex(of: name) ?? 0)
                if let trouble { failures.append(trouble) }
                condition.broadcast()
            }
        }
        thread.name = name
        thread.start()
    }

    /// Waits, no longer than the crew's time lasts.
    ///
    /// - Returns: whether it goes on.
    @discardableResult
    func pause(_ seconds: Double) -> Bool {
        let deadline = Date.now + seconds
        return condition.withLock {
            while !isOver, condition.wait(until: deadline) {}
            return !isOver
        }
    }

    /// Tells all to stop, and waits for them.
    func end(within seconds: Double) {
        let deadline = Date.now + seconds
        condition.withLock {
            isOver = true
            condition.broadcast()
            while !working.isEmpty, condition.wait(until: deadline) {}
            if !working.isEmpty { failures.append("threads that do not end: \(working.joined(separator: ", "))") }
        }
    }
}
