/// Which results of a single-flight group are kept for a while, so that what is missing or refused is not asked for
/// again at once.
///
/// Use it where the same vain question comes again and again. Do not use it for results that are worth having: those
/// belong into a cache of their own (``ThreeStageRead``). Errors of the group itself (``SingleFlightError``) and
/// cancellations are never kept: they say nothing about the key.
public struct NegativePolicy<Value: Sendable>: Sendable {
    /// A kind of result, and how long one of its kind is kept.
    public struct Class: Sendable, Hashable {
        public let name: String
        public let keepNanoseconds: UInt64

        @inlinable
        public init(_ name: String, keepNanoseconds: UInt64) {
            self.name = name
            self.keepNanoseconds = keepNanoseconds
        }
    }

    /// How many results are kept at most; the oldest gives way.
    public let entries: Int
    @usableFromInline let classify: (@Sendable (Result<Value, any Error>) -> Class?)?
    @usableFromInline let now: @Sendable () -> MonotonicTime

    /// - Parameters:
    ///   - now: the clock by which results are kept.
    ///   - classify: the class of a result that is to be kept, `nil` for the others. Called once for each flight that
    ///     lands, under no lock.
    @inlinable
    public init(
        entries: Int = 1_024,
        now: @escaping @Sendable () -> MonotonicTime = { .now },
        classify: @escaping @Sendable (Result<Value, any Error>) -> Class?
    ) {
        self.entries = entries
        self.now = now
        self.classify = entries > 0 ? classify : nil
    }

    @inlinable
    init() {
        entries = 0
        now = { .now }
        classify = nil
    }

    /// Nothing is kept.
    @inlinable
    public static var none: NegativePolicy { NegativePolicy() }

    @inlinable
    var keepsAny: Bool { classify != nil }

    /// The time to ask a cache with; `nil` when nothing is ever kept.
    @inlinable
    var time: MonotonicTime? { keepsAny ? now() : nil }

    /// Until when `result` is to be kept; `nil`: not at all.
    @inlinable
    func expiry(of result: Result<Value, any Error>) -> MonotonicTime? {
        guard let classify else { return nil }
        if case .failure(let error) = result, error is SingleFlightError || error is CancellationError { return nil }
        guard let keep = classify(result)?.keepNanoseconds, keep > 0 else { return nil }
        return now().advanced(byNanoseconds: keep)
    }
}
