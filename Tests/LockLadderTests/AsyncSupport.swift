import Glibc
import LockLadder

/// Waits in a task until `condition` holds, without holding a thread. `false`: it did not within the test's patience.
func soon(_ condition: @Sendable () -> Bool) async -> Bool {
    let deadline = MonotonicTime.now.advanced(byNanoseconds: patience)
    var rounds = 0
    while !condition() {
        if MonotonicTime.now > deadline { return false }
        rounds += 1
        if rounds < 64 { await Task.yield() } else { try? await Task.sleep(nanoseconds: 200_000) }
    }
    return true
}

/// What the work of a test waits at until the test opens it, or the work is cancelled.
final class Gate: Sendable {
    private let opened = Count()
    let arrivals = Count()

    func open() { opened.set(1) }

    var isOpen: Bool { opened.now == 1 }

    func pass() async throws {
        arrivals.add(1)
        while !isOpen {
            try Task.checkCancellation()
            try await Task.sleep(nanoseconds: 200_000)
        }
    }

    /// For threads: `false` when `isCancelled` said so first.
    @discardableResult
    func passOnThread(_ isCancelled: () -> Bool = { false }) -> Bool {
        arrivals.add(1)
        _ = eventually { self.isOpen || isCancelled() }
        return isOpen
    }
}

/// What came of a call, in one word.
func told<Value>(_ body: () async throws -> Value) async -> String {
    do { return "\(try await body())" } catch { return told(error) }
}

/// The same on a thread.
func toldNow<Value>(_ body: () throws -> Value) -> String {
    do { return "\(try body())" } catch { return told(error) }
}

private func told(_ error: any Error) -> String {
    error is CancellationError ? "cancelled" : "\(error)"
}

/// An error of the tests' work.
enum Vain: Error { case notFound, refused, broken }

extension MonotonicTime {
    static func inMilliseconds(_ milliseconds: UInt64) -> MonotonicTime {
        MonotonicTime.now.advanced(byNanoseconds: milliseconds * 1_000_000)
    }
}

enum Pause {
    /// Lets other threads run.
    static func shortly() { usleep(20) }
}
