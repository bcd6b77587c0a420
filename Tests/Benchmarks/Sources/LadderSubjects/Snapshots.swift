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
private struct HandleReader<Object: PayloadObject>: Worker, ~Copyable {
    private var reader: SnapshotReader<Object>

    init(_ cell: SnapshotCell<Object>, _ index: Int) { reader = cell.makeReader() }

    @inline(__always)
    mutating func step() -> UInt64 { reader.withSnapshot { $0.folded } }
}

/// What an event loop has.
private struct LoopHandler: Worker {
    private let reader: LoopReader<Payload>

    init(_ cell: SnapshotCell<Payload>, _ index: Int) { reader = LoopReader(cell) }

    @inline(__always)
    func step() -> UInt64 { reader.withSnapshot { $0.folded } }
}

/// No handle: the thread's own reader.
private struct ImplicitReader: Worker {
    private let cell: SnapshotCell<Payload>

    init(_ cell: SnapshotCell<Payload>, _ index: Int) { self.cell = cell }

    @inline(__always)
    func step() -> UInt64 { cell.withSnapshot { $0.folded } }
}

private struct StrongReader: Worker {
    private let cell: SnapshotCell<Payload>

    init(_ cell: SnapshotCell<Payload>, _ index: Int) { self.cell = cell }

    @inline(__always)
    func step() -> UInt64 { cell.strongCopy().folded }
}

private struct CellPublisher<Object: PayloadObject>: Worker {
    private let cell: SnapshotCell<Object>
    private var version: UInt64 = 0

    init(_ cell: SnapshotCell<Object>, _ index: Int) { self.cell = cell }

    @inline(__always)
    mutating func step() -> UInt64 {
        version += 1
        cell.publish(Object(version))
        return version
    }
}

// MARK: Anchors

/// A reference under the standard library's mutex.
private final class Guarded: Sendable {
    let current = Synchronization.Mutex(Payload(0))
}

private struct GuardedReader: Worker {
    private let guarded: Guarded

    init(_ guarded: Guarded, _ index: Int) { self.guarded = guarded }

    @inline(__always)
    func step() -> UInt64 { guarded.current.withLock { $0 }.folded }
}

/// A strong reference of swift-atomics.
private struct AtomicReader: Worker {
    private let current: ManagedAtomic<Payload>

    init(_ current: ManagedAtomic<Payload>, _ index: Int) { self.current = current }

    @inline(__always)
    func step() -> UInt64 { current.load(ordering: .acquiring).folded }
}

private struct AtomicPublisher: Worker {
    private let current: ManagedAtomic<Payload>
    private var version: UInt64 = 0

    init(_ current: ManagedAtomic<Payload>, _ index: Int) { self.current = current }

    @inline(__always)
    mutating func step() -> UInt64 {
        version += 1
        current.store(Payload(version), ordering: .releasing)
        return version
    }
}

// MARK: Cases

enum SnapshotReading {
    static let subjects = [
        Subject("handle") { options in measureCell(HandleReader<Payload>.self, options) },
        Subject("loop") { options in measureCell(LoopHandler.self, options) },
        Subject("implicit") { options in measureCell(ImplicitReader.self, options) },
        Subject("strong") { options in measureCell(StrongReader.self, options) },
        Subject("swift-mutex-copy") { options in
            let guarded = Guarded()
            return measure(GuardedReader.self, guarded, options) { version in
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
            return measure(AtomicReader.self, current, options) { version in
                current.store(Payload(version), ordering: .releasing)
            }
        },
    ]

    private static func measureCell<W: Worker & ~Copyable>(
        _ type: W.Type,
        _ options: Options
    ) -> Report where W.Shared == SnapshotCell<Payload> {
        let cell = SnapshotCell("bench.snapshot", Payload(0))
        return measure(type, cell, options) { version in cell.publish(Payload(version)) }
    }

    private static func measure<W: Worker & ~Copyable>(
        _ type: W.Type,
        _ shared: W.Shared,
        _ options: Options,
        _ write: @escaping @Sendable (UInt64) -> Void
    ) -> Report {
        let writer = Helper(options, writing: write)
        return ladder_subjects.measure(type, shared, options, .batches, helpers: [writer].compactMap { $0 }).report
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
            return publish(AtomicReader.self, AtomicPublisher.self, current, options)
        },
    ]

    private static func publishToCell<Object: PayloadObject>(_ type: Object.Type, _ options: Options) -> Report {
        let cell = SnapshotCell("bench.snapshot", Object(0))
        return publish(HandleReader<Object>.self, CellPublisher<Object>.self, cell, options)
    }

    private static func publish<R: Worker & ~Copyable, W: Worker>(
        _ reader: R.Type,
        _ writer: W.Type,
        _ shared: W.Shared,
        _ options: Options
    ) -> Report where R.Shared == W.Shared {
        let readers = (0..<options.threads).map { _ in Helper(repeating: reader, shared) }
        var report = measure(writer, shared, options, .singles, threads: 1, helpers: readers).report
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
