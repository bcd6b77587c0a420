import BenchKit
import Foundation

/// Knows when the machine did not let this program run: others use it, too, and what is late then is not the agent's
/// doing.
final class StallWatch: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: all is touched under `lock`.
    private static let worthy: UInt64 = 150_000_000

    private let lock = NSLock()
    private var stalls: [(from: UInt64, to: UInt64)] = []
    private var worst: UInt64 = 0

    func run(_ crew: Crew) {
        var before = Figures.now
        while crew.pause(0.01) {
            let now = Figures.now
            let late = now - before
            before = now
            guard late > Self.worthy else { continue }
            lock.withLock {
                worst = max(worst, late)
                stalls.append((now - late, now))
                if stalls.count > 256 { stalls.removeFirst() }
            }
        }
    }

    /// Nanoseconds within `from...to` that the machine was elsewhere. An ongoing stall is not known yet: ask a little
    /// later.
    func stalled(_ from: UInt64, _ to: UInt64) -> UInt64 {
        lock.withLock {
            stalls.reduce(0) { sum, stall in
                let (first, last) = (max(from, stall.from), min(to, stall.to))
                return sum + (last > first ? last - first : 0)
            }
        }
    }

    var worstMilliseconds: Double { Double(lock.withLock { worst }) / 1e6 }
}
