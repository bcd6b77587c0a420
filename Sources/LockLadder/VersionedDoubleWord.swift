#if _hasAtomicBitWidth(_128) && _pointerBitWidth(_64)
    public import Synchronization

    /// Sixty-four bits of value and sixty-four bits of version, exchanged together: ``VersionedWord`` for whole addresses,
    /// and for always.
    ///
    /// Use it where values are wider than 32 bits, or where an exchange must never be fooled. Do not use it where loads
    /// are frequent and changes rare: on x86-64 even a load is a locked instruction (`cmpxchg16b`), which takes the cache
    /// line from everybody else, and the word must not lie in read-only memory.
    ///
    /// - Progress: ``load()`` and ``compareExchange(expected:desired:)`` are wait-free on x86-64 and on arm64 with LSE;
    ///   older arm64 loops over a pair of exclusive instructions and is lock-free. ``store(_:)`` is lock-free.
    /// - Memory order: loads and failed exchanges acquire; successful ones and stores acquire and release.
    /// - Thread safety: any thread may do anything at any time, to the word; what an address points to is not protected.
    ///   That a value did not change says nothing about whether its object still lives.
    /// - When the version wraps: after 2⁶⁴ changes; at 10 ns each that is 5,800 years. It is not met.
    /// - Errors: none.
    public struct VersionedDoubleWord: ~Copyable, Sendable {
        /// A value as it was found, with the version that it had.
        public struct Stamped: Sendable, Hashable {
            public let value: UInt64
            public let version: UInt64

            @inlinable
            public init(value: UInt64, version: UInt64) {
                self.value = value
                self.version = version
            }

            @inlinable
            init(pair: WordPair) { self.init(value: UInt64(pair.first), version: UInt64(pair.second)) }

            @usableFromInline var pair: WordPair {
                @inlinable get { WordPair(first: UInt(value), second: UInt(version)) }
            }

            /// What follows this: the next version of another value.
            @inlinable
            func successor(_ value: UInt64) -> Stamped { Stamped(value: value, version: version &+ 1) }
        }

        @usableFromInline let pair: Atomic<WordPair>

        /// - Parameter version: the version to begin with, for a word that takes the place of another one.
        @inlinable
        public init(_ value: UInt64, version: UInt64 = 0) {
            pair = Atomic(Stamped(value: value, version: version).pair)
        }

        @inlinable
        public borrowing func load() -> Stamped {
            // Acquiring: what was written before the value was put in is seen.
            Stamped(pair: pair.load(ordering: .acquiring))
        }

        /// Puts in `desired` with the next version if nothing was put in since `expected` was found, be it the same value.
        ///
        /// - Returns: whether it did, and what it found. After a failure `original` is what to try with next.
        @inlinable
        @discardableResult
        public borrowing func compareExchange(
            expected: Stamped,
            desired: UInt64
        ) -> (exchanged: Bool, original: Stamped) {
            // Acquiring and releasing, and acquiring on failure: as in VersionedWord.
            let (exchanged, original) = pair.compareExchange(
                expected: expected.pair,
                desired: expected.successor(desired).pair,
                successOrdering: .acquiringAndReleasing,
                failureOrdering: .acquiring
            )
            return (exchanged, Stamped(pair: original))
        }

        /// Puts in `value` with the next version, whatever was there.
        ///
        /// - Returns: the value as it stands now, with its version.
        @inlinable
        @discardableResult
        public borrowing func store(_ value: UInt64) -> Stamped {
            // Acquiring: there is no cheaper load of two words.
            var found = load()
            // Ends: a round fails only because another thread's change came first.
            while true {
                let outcome = compareExchange(expected: found, desired: value)
                if outcome.exchanged { return found.successor(value) }
                found = outcome.original
            }
        }
    }
#endif
