// The fast paths of the ladder as an optimised client sees them, one function each, for a look at their machine code:
// packaging/scripts/check-fast-paths.py reads them in a release build. Those named Naive do the same in ways that look
// harmless; the check must object to every one of them, or it is no check.

public import LockLadder

public import struct Synchronization.Atomic

public final class Settings: Sendable {
    public let number: Int

    init(_ number: Int) { self.number = number }
}

// MARK: What the ladder offers

@inline(never)
public func readSnapshotByHandle(_ reader: inout SnapshotReader<Settings>) -> Int {
    reader.withSnapshot { $0.number }
}

@inline(never)
public func readSnapshotImplicitly(_ cell: SnapshotCell<Settings>) -> Int {
    cell.withSnapshot { $0.number }
}

@inline(never)
public func lockAndUnlock(_ lock: borrowing Mutex<Int>) {
    lock.withLock { $0 &+= 1 }
}

@inline(never)
public func readLockByHandle(_ reader: inout RWReader<Int>) -> Int {
    reader.withReadLock { $0 }
}

@inline(never)
public func readLockImplicitly(_ lock: RWLock<Int>) -> Int {
    lock.withReadLock { $0 }
}

// MARK: What the check must object to

/// A strong reference taken for the time of the read.
@inline(never)
public func readSnapshotNaive(_ address: borrowing Atomic<UInt>) -> Int {
    // SAFETY: never 0.
    let start = UnsafeRawPointer(bitPattern: address.load(ordering: .acquiring)).unsafelyUnwrapped
    return look(at: Unmanaged<Settings>.fromOpaque(start).takeUnretainedValue())
}

/// Keeps the compiler from seeing that the object is not released meanwhile.
@inline(never)
func look(at settings: Settings) -> Int {
    _ = latest.exchange(settings.number, ordering: .relaxed)
    return settings.number
}

/// A reader kept in an object: each access to it is checked for exclusivity.
public final class ReaderNaive {
    var reader: SnapshotReader<Settings>

    init(_ cell: SnapshotCell<Settings>) { reader = cell.makeReader() }
}

@inline(never)
public func readSnapshotInObjectNaive(_ holder: ReaderNaive) -> Int {
    holder.reader.withSnapshot { $0.number }
}

/// A mutex that unlocks with a locked instruction too.
@inline(never)
public func lockAndUnlockNaive(_ word: borrowing Atomic<UInt32>, _ value: inout Int) {
    guard word.compareExchange(expected: 0, desired: 1, ordering: .acquiring).exchanged else { return }
    value &+= 1
    _ = word.exchange(0, ordering: .sequentiallyConsistent)
}

/// A read lock on a counter that all readers share.
@inline(never)
public func readLockNaive(_ readers: borrowing Atomic<Int>, _ value: borrowing Int) -> Int {
    readers.add(1, ordering: .acquiring)
    defer { readers.subtract(1, ordering: .releasing) }
    return copy value
}

/// Work that a later change has let into a fast path.
@inline(never)
public func readSnapshotLongNaive(_ reader: inout SnapshotReader<Settings>) -> Int {
    reader.withSnapshot { settings in
        var sum = settings.number
        for turn in 1...24 { sum = (sum ^ latest.load(ordering: .relaxed)) &* (turn | 1) }
        return sum
    }
}

/// A reader's announcement that may become visible after the second look.
@inline(never)
public func announceNaive(_ first: UInt, of current: borrowing Atomic<UInt>, in hazard: borrowing Atomic<UInt>) -> UInt
{
    var address = first
    while true {
        hazard.store(address, ordering: .releasing)
        let newest = current.load(ordering: .sequentiallyConsistent)
        if newest == address { return address }
        address = newest
    }
}

let latest = Atomic(0)

// Runs each once, so that none is left out, and so that the figures are those of code that works.
// Not known to the compiler.
let one = CommandLine.arguments.count
let cell = SnapshotCell("fast.cell", Settings(one))
var reader = cell.makeReader()
let lock = Mutex("fast.mutex", 0)
let shared = RWLock("fast.rwlock", one)
var sharedReader = shared.makeReader()
lockAndUnlock(lock)
var sum = readSnapshotByHandle(&reader) + readSnapshotImplicitly(cell) + lock.withLock { $0 }
sum += readLockByHandle(&sharedReader) + readLockImplicitly(shared)

let kept = Settings(one)
let address = Atomic(UInt(bitPattern: Unmanaged.passUnretained(kept).toOpaque()))
let word = Atomic<UInt32>(0)
let count = Atomic(0)
var value = 0
sum += withExtendedLifetime(kept) { readSnapshotNaive(address) } + readSnapshotInObjectNaive(ReaderNaive(cell))
lockAndUnlockNaive(word, &value)
sum += readLockNaive(count, value) + value
_ = readSnapshotLongNaive(&reader)
let hazard = Atomic<UInt>(0)
_ = announceNaive(0, of: address, in: hazard)
print(sum == 9 ? "ok" : "wrong: \(sum)")
