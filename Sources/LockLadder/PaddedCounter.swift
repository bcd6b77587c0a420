public import Synchronization

/// A counter on a cache line of its own: threads that count different things do not slow one another down.
///
/// Any thread may add and any may read. Counting is relaxed: nothing else is ordered by it.
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
