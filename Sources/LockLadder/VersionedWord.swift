public import Synchronization

/// Thirty-two bits of value and thirty-two bits of version in one word: a compare-and-exchange that is not fooled when
/// a value went away and came back (ABA).
///
/// Use it for indices into a table, handles, and small states that several threads exchange: the head of a free list
/// of indices is the classic. Do not use it where a value never comes back (a plain `Atomic` will do), nor where being
/// fooled once in years is not allowed: ``VersionedDoubleWord`` is for that, and holds whole addresses.
///
/// - Progress: ``load()`` and ``compareExchange(expected:desired:)`` are wait-free; ``store(_:)`` is lock-free: it
///   tries again only because somebody else succeeded.
/// - Memory order: loads and failed exchanges acquire; successful ones and stores acquire and release. What was
///   written before a value was put in is seen by whoever finds it.
/// - Thread safety: any thread may do anything at any time. Nothing is made safe but the word itself: what a value
///   stands for, the next index in a list for instance, may be read by one thread while another changes it and must be
///   atomic too.
/// - When the version wraps: every change moves it on by one, and after 2³² changes it comes back. An exchange is
///   fooled only if its thread stands still, between load and exchange, for exactly a multiple of 2³² changes *and*
///   the value is the same again. At 10 ns for each change that is a pause of 43 s to the change: unlikely, not
///   impossible (a stopped process stops all of its threads, a swapped-out or traced thread stands alone). A split of
///   48 and 16 bits would hold an address, but would wrap within a millisecond, less than one time slice; hence this
///   one.
/// - Errors: none.
///
/// What is commonly written instead, `(value << 32) | (version + 1)` on a packed word, has two faults that this has
/// not: when the version wraps, its carry is or'ed into the value's lowest bit; and a value of 64 bits, declared as
/// such, silently loses its upper half. Here value and version are fields of fixed width, and the version's carry is
/// dropped. The caller passes on what it loaded as a whole, so there is no version to forget or to mix up.
public struct VersionedWord: ~Copyable, Sendable {
    /// A value as it was found, with the version that it had.
    public struct Stamped: Sendable, Hashable {
        public let value: UInt32
        public let version: UInt32

        @inlinable
        public init(value: UInt32, version: UInt32) {
            self.value = value
            self.version = version
        }

        @inlinable
        init(word: UInt64) { self.init(value: UInt32(truncatingIfNeeded: word), version: UInt32(word >> 32)) }

        /// The version in the upper half.
        @usableFromInline var word: UInt64 {
            @inlinable get { UInt64(version) << 32 | UInt64(value) }
        }

        /// What follows this: the next version, wrapping, of another value.
        @inlinable
        func successor(_ value: UInt32) -> Stamped { Stamped(value: value, version: version &+ 1) }
    }

    @usableFromInline let word: Atomic<UInt64>

    /// - Parameter version: the version to begin with, for a word that takes the place of another one.
    @inlinable
    public init(_ value: UInt32, version: UInt32 = 0) {
        word = Atomic(Stamped(value: value, version: version).word)
    }

    @inlinable
    public borrowing func load() -> Stamped {
        // Acquiring: what was written before the value was put in is seen.
        Stamped(word: word.load(ordering: .acquiring))
    }

    /// Puts in `desired` with the next version if nothing was put in since `expected` was found, be it the same value.
    ///
    /// - Returns: whether it did, and what it found. After a failure `original` is what to try with next.
    @inlinable
    @discardableResult
    public borrowing func compareExchange(
        expected: Stamped,
        desired: UInt32
    ) -> (exchanged: Bool, original: Stamped) {
        // Acquiring and releasing: takes over what the last one put in, and hands on what comes with `desired`.
        // Acquiring on failure: the caller goes on from what was found, as from a load.
        let (exchanged, original) = word.compareExchange(
            expected: expected.word,
            desired: expected.successor(desired).word,
            successOrdering: .acquiringAndReleasing,
            failureOrdering: .acquiring
        )
        return (exchanged, Stamped(word: original))
    }

    /// Puts in `value` with the next version, whatever was there.
    ///
    /// - Returns: the value as it stands now, with its version.
    @inlinable
    @discardableResult
    public borrowing func store(_ value: UInt32) -> Stamped {
        // Relaxed: only a guess for the exchange.
        var found = Stamped(word: word.load(ordering: .relaxed))
        // Ends: a round fails only because another thread's change came first. There is no instruction that adds to
        // one half of a word and replaces the other.
        while true {
            let outcome = compareExchange(expected: found, desired: value)
            if outcome.exchanged { return found.successor(value) }
            found = outcome.original
        }
    }
}
