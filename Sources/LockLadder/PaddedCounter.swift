public import Synchronization

/// A counter on a cache line of its own: threads that count different things do not slow one another down.
///
/// Use it for a figure or a flag of its own right that few threads write. Do not use it for what many threads count all
/// the time: they would pass its one line to and fro (``StripedCounter``).
///
/// - Progress: wait-free, one atomic operation.
/// - Memory order: relaxed; nothing else is ordered by it.
/// - Thread safety: any thread may add and any may read.
/// - Errors: none; past 2⁶⁴ − 1 the count begins again at 0.
public final class PaddedCounter: Sendable {
    // 128 bytes on either side: x86-64 fetches lines in pairs, and some arm64 lines are that long.
    private let before: InlineArray<16, UInt64> = .init(repeating: 0)
    @usableFromInline let value = Atomic<UInt64>(0)
    private let after: InlineArray<15, UInt64> = .init(repeating: 0)

    public init() {}

    /// - Returns: the count after the addition.
    @inlinable
    @discardableResult
    public func add(_ amount: UInt64 = 1) -> UInt64 { value.wrappingAdd(amount, ordering: .relaxed).newValue }

    @inlinable
    public var count: UInt64 { value.load(ordering: .relaxed) }
}
