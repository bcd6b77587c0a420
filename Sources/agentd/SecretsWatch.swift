internal import ConfigFetch
internal import LockLadder

internal import struct Synchronization.Atomic

/// Looks every second whether a file that the configuration names has changed (a secret, a certificate, a key, a schema),
/// on a thread of its own, because a look at a dead mount may hang. A look each, and no notices of the kernel: such files
/// are few, and lie behind links that are turned, on mounts that tell nothing, in directories that may not be read.
final class SecretsWatch: Sendable {
    struct NoThread: Error, CustomStringConvertible {
        var description: String { "the system has no thread for agent-secrets" }
    }

    private static let interval: UInt64 = 1_000_000_000
    private static let retry: UInt64 = 10_000_000_000

    private let reloader: Reloader
    private let stopped = WakeSignal()
    /// Relaxed: a hint for the next look.
    private let hasFailed = Atomic<Bool>(false)

    init(_ reloader: Reloader) { self.reloader = reloader }

    func start() -> Bool { NamedThread("agent-secrets") { self.run() } != nil }

    /// Does not wait: a look may hang, and one more of them changes nothing.
    func stop() { stopped.raise() }

    private func run() {
        var settled: [String: FileStamp.Look] = [:]
        var last: [String: FileStamp.Look] = [:]
        var retryAt: MonotonicTime?
        repeat {
            let now = Dictionary(
                uniqueKeysWithValues: reloader.secretFiles.map { ($0, FileStamp.look(at: $0)) }
            )
            // What could not be taken up is not forgotten.
            if hasFailed.exchange(false, ordering: .relaxed) {
                retryAt = MonotonicTime.now.advanced(byNanoseconds: Self.retry)
            }
            if let due = retryAt, due <= .now {
                retryAt = nil
                settled = [:]
            }
            // Only a file that has not changed for a while: it may be being written.
            let changed = now.filter { $0.value != settled[$0.key] && $0.value == last[$0.key] }
            if !changed.isEmpty {
                settled = settled.filter { now[$0.key] != nil }.merging(changed) { $1 }
                reloader.rereadSecrets { [self] outcome in
                    if case .success = outcome, !reloader.hasRefused { return }
                    hasFailed.store(true, ordering: .relaxed)
                }
            }
            last = now
        } while !stopped.wait(until: MonotonicTime.now.advanced(byNanoseconds: Self.interval))
    }
}
