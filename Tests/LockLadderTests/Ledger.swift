import Glibc
import LockLadder

/// Words that a writer changes one after the other in place: whoever sees them unequal was let in beside a writer.
final class Ledger: @unchecked Sendable {
    // Guarded by the lock under test.
    private let words: UnsafeMutablePointer<Int>
    private static let wordCount = 24

    init() {
        words = .allocate(capacity: Self.wordCount)
        words.initialize(repeating: 0, count: Self.wordCount)
    }

    deinit { words.deallocate() }

    /// How many writes have been made, or a description of what is wrong.
    func read(pausing: Bool) -> (version: Int, finding: String?) {
        let first = words[0]
        for index in 1..<Self.wordCount {
            if pausing, index == Self.wordCount / 2 { sched_yield() }
            let word = words[index]
            if word != first { return (first, "half a write: \(word) beside \(first)") }
        }
        return (first, nil)
    }

    func write(pausing: Bool) {
        for index in 0..<Self.wordCount {
            if pausing, index == Self.wordCount / 2 { sched_yield() }
            words[index] += 1
        }
    }
}

/// A read-write lock under test, or the reference, or a broken copy: the same checks for all.
struct Sharing: Sendable {
    typealias Reading = ((Ledger) -> Void) -> Void

    /// Makes a reader; called on the reader's thread.
    var makeReading: @Sendable () -> Reading
    var write: @Sendable ((Ledger) -> Void) -> Void
}

/// What went on during ``readWhileWriting(_:readers:writers:writes:seed:)``.
struct Shares: Sendable {
    var findings: [String] = []
    var reads = 0
    /// The fewest different versions that one reader saw.
    var fewestChanges = Int.max
}

/// Readers read without a pause while writers write, each `writes` times, at random lengths. After every few writes a
/// writer waits until each reader has read again, so that reads and writes do meet.
func readWhileWriting(
    _ sharing: Sharing,
    readers: Int = 4,
    writers: Int = 2,
    writes: Int,
    seed: UInt64 = 1
) throws -> Shares {
    let findings = Findings()
    let shares = Plain(Shares())
    let writing = Count(writers)
    let writersInside = LooseCount()
    let reads = (0..<readers).map { _ in LooseCount() }
    let written = Plain(0)
    let begun = Plain(0)
    try onThreads(readers + writers) { index in
        var random = SplitMix(seed: seed << 8 | UInt64(index))
        if index < readers {
            let reading = sharing.makeReading()
            var newest = -1
            var changes = 0
            var number = 0
            repeat {
                number += 1
                let bounded = random.next() % 8 == 0
                let least = bounded ? written.now : newest
                let pausing = random.next() % 16 == 0
                var seen = 0
                reading { ledger in
                    let (version, finding) = ledger.read(pausing: pausing)
                    findings.expect(writersInside.now == 0, "a reader beside a writer")
                    if let finding { findings.note(finding) }
                    seen = version
                }
                findings.expect(seen >= max(newest, least), "write \(seen) after write \(max(newest, least))")
                if bounded { findings.expect(seen <= begun.now, "write \(seen) was not begun yet") }
                if seen != newest { changes += 1 }
                newest = seen
                reads[index].add(1)
            } while writing.now > 0 && findings.isEmpty
            shares.change { [changes, number] in
                $0.reads += number
                $0.fewestChanges = min($0.fewestChanges, changes)
            }
        } else {
            for round in 1...writes where findings.isEmpty {
                let pausing = random.next() % 8 == 0
                begun.change { $0 += 1 }
                sharing.write { ledger in
                    findings.expect(writersInside.add(1) == 1, "two writers inside")
                    ledger.write(pausing: pausing)
                    writersInside.add(-1)
                }
                written.change { $0 += 1 }
                for _ in 0..<random.next() % 64 { _ = MonotonicTime.now }
                guard round % 16 == 0 else { continue }
                let before = reads.map(\.now)
                let goOn = eventually { !findings.isEmpty || zip(reads, before).allSatisfy { $0.now > $1 + 1 } }
                findings.expect(goOn, "the readers stand still")
            }
            writing.add(-1)
        }
    }
    sharing.makeReading()({ ledger in
        let version = ledger.read(pausing: false).version
        if findings.isEmpty, version != writers * writes { findings.note("\(version) writes are left") }
    })
    shares.change { $0.findings = findings.all }
    return shares.now
}
