import Atomics
import LockLadder
import Synchronization

/// What is published: two words that say which version it is, and six more.
protocol PayloadObject: AnyObject, Sendable {
    init(_ version: UInt64)
    var folded: UInt64 { get }
}

/// 64 bytes and the header of an object.
final class Payload: PayloadObject, AtomicReference {
    private let first: UInt64
    private let second: UInt64
    private let rest: InlineArray<6, UInt64> = .init(repeating: 0)

    init(_ version: UInt64) {
        first = version
        second = version &* 0x9E37_79B9_7F4A_7C15
    }

    @inline(__always)
    var folded: UInt64 { first ^ second }
}

// MARK: The ladder

/// A reader of its own.
private enum HandleReading<Object: PayloadObject>: Work {
    static func run(_ cell: SnapshotCell<Object>, _ index: Int, _ round: inout Round) {
        var reader = cell.makeReader()
        @inline(__always)
        func step() -> UInt64 {
            reader.withSnapshot { $0.folded }
        }
        round.batches(step)
    }
}

/// What an event loop has.
private enum LoopReading: Work {
    static func run(_ cell: SnapshotCell<Payload>, _ index: Int, _ round: inout Round) {
        let reader = LoopReader(cell)
        @inline(__always)
        func step() -> UInt64 {
            reader.withSnapshot { $0.folded }
        }
        round.batches(step)
    }
}

/// No handle: the thread's own reader.
private enum ImplicitReading: Work {
    static func run(_ cell: SnapshotCell<Payload>, _ index: Int, _ round: inout Round) {
        @inline(__always)
        func step() -> UInt64 {
            cell.withSnapshot { $0.folded }
        }
        round.batches(step)
    }
}

private enum StrongReading: Work {
    static func run(_ cell: SnapshotCell<Payload>, _ index: Int, _ round: inout Round) {
        @inline(__always)
        func step() -> UInt64 {
            cell.strongCopy().folded
        }
        round.batches(step)
    }
}

private enum CellPublishing<Object: PayloadObject>: Work {
    static func run(_ cell: SnapshotCell<Object>, _ index: Int, _ round: inout Round) {
        var version: UInt64 = 0
        @inline(__always)
        func step() -> UInt64 {
            version += 1
            cell.publish(Object(version))
            return version
        }
        round.singles(step)
    }
}

// MARK: Anchors

/// A reference under the standard library's mutex.
private final class Guarded: Sendable {
    let current = Synchronization.Mutex(Payload(0))
}

private enum GuardedReading: Work {
    static func run(_ guarded: Guarded, _ index: Int, _ round: inout Round) {
        @inline(__always)
        func step() -> UInt64 {
            guarded.current.withLock { $0 }.folded
        }
        round.batches(step)
    }
}

/// A strong reference of swift-atomics.
private enum AtomicReading: Work {
    static func run(_ current: ManagedAtomic<Payload>, _ index: Int, _ round: inout Round) {
        @inline(__always)
        func step() -> UInt64 {
            current.load(ordering: .acquiring).folded
        }
        round.batches(step)
    }
}

private enum AtomicPublishing: Work {
    static func run(_ current: ManagedAtomic<Payload>, _ index: Int, _ round: inout Round) {
        var version: UInt64 = 0
        @inline(__always)
        func step() -> UInt64 {
            version += 1
            current.store(Payload(version), ordering: .releasing)
            return version
        }
        round.singles(step)
    }
}

// MARK: Cases

enum SnapshotReading {
    static let subjects = [
        Subject("handle") { options in measureCell(HandleReading<Payload>.self, options) },
        Subject("loop") { options in measureCell(LoopReading.self, options) },
        Subject("implicit") { options in measureCell(ImplicitReading.self, options) },
        Subject("strong") { options in measureCell(StrongReading.self, options) },
        Subject("swift-mutex-copy") { options in
            let guarded = Guarded()
            return measureReading(GuardedReading.self, guarded, options) { version in
                let payload = Payload(version)
                // What was there is released outside the lock.
                _ = guarded.current.withLock { current in
                    defer { current = payload }
                    return current
                }
            }
        },
        Subject("swift-atomics-strong") { options in
            let current = ManagedAtomic(Payload(0))
            return measureReading(AtomicReading.self, current, options) { version in
                current.store(Payload(version), ordering: .releasing)
            }
        },
    ]

    private static func measureCell<W: Work>(
        _ type: W.Type,
        _ options: Options
    ) -> Report where W.Shared == SnapshotCell<Payload> {
        let cell = SnapshotCell("bench.snapshot", Payload(0))
        return measureReading(type, cell, options) { version in cell.publish(Payload(version)) }
    }

    private static func measureReading<W: Work>(
        _ type: W.Type,
        _ shared: W.Shared,
        _ options: Options,
        _ write: @escaping @Sendable (UInt64) -> Void
    ) -> Report {
        let writer = Helper(options, writing: write)
        return measure(type, shared, options, helpers: [writer]).report
    }
}

enum SnapshotPublishing {
    static let subjects = [
        Subject("ladder") { options in
            guard options.countsLive else { return publishToCell(Payload.self, options) }
            var report = publishToCell(CountedPayload.self, options)
            report.extra = [("live_max", "\(CountedPayload.mostAlive)")]
            return report
        },
        Subject("swift-atomics-strong") { options in
            let current = ManagedAtomic(Payload(0))
            return publish(AtomicReading.self, AtomicPublishing.self, current, options)
        },
    ]

    private static func publishToCell<Object: PayloadObject>(_ type: Object.Type, _ options: Options) -> Report {
        let cell = SnapshotCell("bench.snapshot", Object(0))
        return publish(HandleReading<Object>.self, CellPublishing<Object>.self, cell, options)
    }

    private static func publish<R: Work, W: Work>(
        _ reader: R.Type,
        _ writer: W.Type,
        _ shared: W.Shared,
        _ options: Options
    ) -> Report where R.Shared == W.Shared {
        let readers = (0..<options.threads).map { _ in Helper(repeating: reader, shared) }
        var report = measure(writer, shared, options, threads: 1, helpers: readers).report
        report.threads = options.threads
        return report
    }
}

/// A payload that is counted while it lives. That costs time, so it is not used where time is measured.
private final class CountedPayload: PayloadObject {
    private static let alive = Synchronization.Atomic<Int>(0)
    private static let most = Synchronization.Atomic<Int>(0)

    private let first: UInt64
    private let second: UInt64
    private let rest: InlineArray<6, UInt64> = .init(repeating: 0)

    // Relaxed, all: figures.
    static var mostAlive: Int { most.load(ordering: .relaxed) }

    init(_ version: UInt64) {
        first = version
        second = version &* 0x9E37_79B9_7F4A_7C15
        let count = Self.alive.add(1, ordering: .relaxed).newValue
        Self.most.max(count, ordering: .relaxed)
    }

    deinit { Self.alive.subtract(1, ordering: .relaxed) }

    var folded: UInt64 { first ^ second }
}
