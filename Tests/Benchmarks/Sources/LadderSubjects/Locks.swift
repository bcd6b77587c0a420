import Glibc
import LockLadder
import Synchronization

// MARK: Mutual exclusion

private struct Counters {
    var first: UInt64 = 0
    var second: UInt64 = 0

    @inline(__always)
    mutating func count() {
        first &+= 1
        second &+= 1
    }
}

private final class LadderMutex: Sendable {
    let counters = LockLadder.Mutex("bench.mutex", Counters())
}

private enum LadderLocking: Work {
    static func run(_ mutex: LadderMutex, _ index: Int, _ round: inout Round) {
        @inline(__always)
        func step() -> UInt64 {
            mutex.counters.withLock { $0.count() }
            return 1
        }
        round.singles(step)
    }
}

private final class StandardMutex: Sendable {
    let counters = Synchronization.Mutex(Counters())
}

private enum StandardLocking: Work {
    static func run(_ mutex: StandardMutex, _ index: Int, _ round: inout Round) {
        @inline(__always)
        func step() -> UInt64 {
            mutex.counters.withLock { $0.count() }
            return 1
        }
        round.singles(step)
    }
}

enum MutualExclusion {
    static let subjects = [
        Subject("ladder") { options in
            let mutex = LadderMutex()
            var report = measure(LadderLocking.self, mutex, options).report
            report.checksum &+= mutex.counters.withLock { $0.first ^ $0.second }
            return report
        },
        Subject("swift-synchronization") { options in
            let mutex = StandardMutex()
            var report = measure(StandardLocking.self, mutex, options).report
            report.checksum &+= mutex.counters.withLock { $0.first ^ $0.second }
            return report
        },
    ]
}

// MARK: Read-write locks

/// Two words that belong together.
private struct Pair {
    private var first: UInt64 = 0
    private var second: UInt64 = 0
    private static let factor: UInt64 = 0x9E37_79B9_7F4A_7C15

    @inline(__always)
    mutating func change() {
        first &+= 1
        second = first &* Self.factor
    }

    /// Ends the process when the two do not belong together: then the lock let somebody see half a write.
    @inline(__always)
    var folded: UInt64 {
        if second != first &* Self.factor { exit(EX_SOFTWARE) }
        return first ^ second
    }
}

/// A reader with a slot of its own.
private enum HandleReadLocking: Work {
    static func run(_ lock: RWLock<Pair>, _ index: Int, _ round: inout Round) {
        var reader = lock.makeReader()
        @inline(__always)
        func step() -> UInt64 {
            reader.withReadLock { $0 }.folded
        }
        if round.options.writer == .none || round.options.count != nil {
            round.batches(step)
        } else {
            round.batchesAndSingles(step)
        }
    }
}

private enum ImplicitReadLocking: Work {
    static func run(_ lock: RWLock<Pair>, _ index: Int, _ round: inout Round) {
        @inline(__always)
        func step() -> UInt64 {
            lock.withReadLock { $0 }.folded
        }
        if round.options.writer == .none || round.options.count != nil {
            round.batches(step)
        } else {
            round.batchesAndSingles(step)
        }
    }
}

private enum WriteLocking: Work {
    static func run(_ lock: RWLock<Pair>, _ index: Int, _ round: inout Round) {
        @inline(__always)
        func step() -> UInt64 {
            lock.withWriteLock { $0.change() }
            return 1
        }
        round.singles(step)
    }
}

extension Options {
    /// The lock's preference. Where readers go first, a writer is patient for a millisecond.
    fileprivate var rwPreference: RWLock<Pair>.Preference {
        switch preference {
        case .writers: .writers
        case .readers: .readers(writerPatience: 1_000_000)
        }
    }
}

enum ReadLocks {
    static let subjects = [
        Subject("ladder") { options in read(HandleReadLocking.self, options) },
        Subject("ladder-implicit") { options in read(ImplicitReadLocking.self, options) },
    ]

    private static func read<W: Work>(
        _ type: W.Type,
        _ options: Options
    ) -> Report where W.Shared == RWLock<Pair> {
        let lock = RWLock("bench.rwlock", preference: options.rwPreference, Pair())
        let waits = Box(Histogram())
        let writes = Box<UInt64>(0)
        let writer = Helper(options) { number in
            let asked = now()
            let begun = lock.withWriteLock { pair in
                let begun = now()
                pair.change()
                return begun
            }
            waits.value.record(nanoseconds: begun - asked)
            writes.value = number
        }
        guard let writer else { return measure(type, lock, options).report }
        var (report, tallies) = measure(type, lock, options, helpers: [writer])
        var singles = Histogram()
        for tally in tallies { singles.add(tally.singles) }
        report.extra = [
            ("writes", "\(writes.value)"),
            ("write_wait_p50_ns", "\(waits.value.percentile(0.5))"),
            ("write_wait_p99_ns", "\(waits.value.percentile(0.99))"),
            ("histogram", singles.json),
        ]
        return report
    }
}

enum WriteLocks {
    static let subjects = [
        Subject("ladder") { options in
            let lock = RWLock("bench.rwlock", preference: options.rwPreference, Pair())
            let idle = (0..<options.readers).map { _ in IdleReader(lock) }
            var report = measure(WriteLocking.self, lock, options, threads: 1).report
            report.extra = [("idle_readers", "\(idle.count)")]
            report.checksum &+= lock.withReadLock { $0 }.folded
            return report
        }
    ]

    /// Has read once, and keeps its slot.
    private final class IdleReader {
        private var reader: RWReader<Pair>

        init(_ lock: RWLock<Pair>) {
            reader = lock.makeReader()
            _ = reader.withReadLock { $0 }.folded
        }
    }
}
