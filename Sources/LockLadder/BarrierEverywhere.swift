internal import CLockLadder

/// A memory barrier on all running threads of the process at once (membarrier, expedited): who calls it pays some
/// microseconds, so that those who are interrupted by it need no barrier of their own on their fast paths.
///
/// - Memory order: what another thread stored before it passed the barrier is visible to the caller afterwards; what
///   the caller stored before the call is visible to that thread from the barrier on.
/// - x86-64 and arm64 alike: the kernel runs a full barrier on each processor that runs a thread of this process;
///   threads that do not run pass one when they are switched in.
enum BarrierEverywhere {
    /// Whether the kernel grants it: asked once. Old kernels and system call filters refuse; then every user takes a
    /// path with barriers of its own.
    static let isAvailable = cll_barrier_everywhere_register()

    /// - Returns: `false` when it was refused all the same (a filter that came later).
    static func pass() -> Bool { cll_barrier_everywhere() }
}
