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
    var reader: SnapshotReader<Object>

    init(_ cell: SnapshotCell<Object>) { reader = cell.makeReader() }

    @inline(__always)
    mutating func step() -> UInt64 { reader.withSnapshot { $0.folded } }
}

/// What an event loop has.
private struct LoopHandler: Worker {
    let reader: LoopReader<Payload>

    init(_ cell: SnapshotCell<Payload>) { reader = LoopReader(cell) }

    @inline(__always)
    func step() -> UInt64 { reader.withSnapshot { $0.folded } }
}

/// No handle: the thread's own reader.
private struct ImplicitReader: Worker {
    let cell: SnapshotCell<Payload>

    @inline(__always)
    func step() -> UInt64 { cell.withSnapshot { $0.folded } }
}

private struct StrongReader: Worker {
    let cell: SnapshotCell<Payload>

    @inline(__always)
    func step() -> UInt64 { cell.strongCopy().folded }
}

private struct CellPublisher<Object: PayloadObject>: Worker {
    let cell: SnapshotCell<Object>
    var version: UInt64 = 0

    init(_ cell: SnapshotCell<Object>) { self.cell = cell }

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
    let guarded: Guarded

    @inline(__always)
    func step() -> UInt64 { guarded.current.withLock { $0 }.folded }
}

/// A strong reference of swift-atomics.
private struct AtomicReader: Worker {
    let current: ManagedAtomic<Payload>

    @inline(__always)
    func step() -> UInt64 { current.load(ordering: .acquiring).folded }
}

private struct AtomicPublisher: Worker {
    let current: ManagedAtomic<Payload>
    var version: UInt64 = 0

    init(_ current: ManagedAtomic<Payload>) { self.current = current }

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
        Subject("handle") { measureCell($0) { cell in HandleReader(cell) } },
        Subject("loop") { measureCell($0) { cell in LoopHandler(cell) } },
        Subject("implicit") { measureCell($0) { cell in ImplicitReader(cell: cell) } },
        Subject("strong") { measureCell($0) { cell in StrongReader(cell: cell) } },
        Subject("swift-mutex-copy") { options in
            let guarded = Guarded()
            return read(options, GuardedReader(guarded: guarded)) { version in
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
            return read(options, AtomicReader(current: current)) { version in
                current.store(Payload(version), ordering: .releasing)
            }
        },
    ]

    private static func measureCell<W: Worker & ~Copyable>(
        _ options: Options,
        _ make: @escaping @Sendable (SnapshotCell<Payload>) -> W
    ) -> Report {
        let cell = SnapshotCell("bench.snapshot", Payload(0))
        let writer = Helper(options) { version in cell.publish(Payload(version)) }
        return measure(options, .batches, helpers: [writer].compactMap { $0 }) { _ in make(cell) }.report
    }

    private static func read<W: Worker & Sendable>(
        _ options: Options,
        _ worker: W,
        _ write: @escaping @Sendable (UInt64) -> Void
    ) -> Report {
        let writer = Helper(options, writing: write)
        return measure(options, .batches, helpers: [writer].compactMap { $0 }) { _ in worker }.report
    }
}

enum SnapshotPublishing {
    static let subjects = [
        Subject("ladder") { options in
            guard options.countsLive else { return publishToCell(options, Payload(0)) }
            var report = publishToCell(options, CountedPayload(0))
            report.extra = [("live_max", "\(CountedPayload.mostAlive)")]
            return report
        },
        Subject("swift-atomics-strong") { options in
            let current = ManagedAtomic(Payload(0))
            return publish(
                options,
                reader: { AtomicReader(current: current) },
                writer: { AtomicPublisher(current) }
            )
        },
    ]

    private static func publishToCell<Object: PayloadObject>(_ options: Options, _ first: Object) -> Report {
        let cell = SnapshotCell("bench.snapshot", first)
        return publish(options, reader: { HandleReader(cell) }, writer: { CellPublisher(cell) })
    }

    private static func publish<R: Worker & ~Copyable, W: Worker>(
        _ options: Options,
        reader: @escaping @Sendable () -> R,
        writer: @escaping @Sendable () -> W
    ) -> Report {
        let readers = (0..<options.threads).map { _ in Helper(repeating: reader) }
        var report = measure(options, .singles, threads: 1, helpers: readers) { _ in writer() }.report
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
