import Glibc

/// An immutable object that shows when it is read after its end, or half: its many words all follow from its version,
/// and are wiped when it goes.
final class Versioned: Sendable {
    private static let wordCount = 48

    /// Which publisher made it, and which of that publisher's objects it is, counted from 1.
    let series: Int
    let version: Int
    private let live: LooseCount
    private nonisolated(unsafe) let words: UnsafeMutablePointer<UInt64>

    init(_ version: Int, series: Int = 0, in live: LooseCount) {
        self.series = series
        self.version = version
        self.live = live
        words = .allocate(capacity: Self.wordCount)
        for index in 0..<Self.wordCount {
            (words + index).initialize(to: Self.word(index, series: series, version: version))
        }
        live.add(1)
    }

    deinit {
        wipe()
        words.deallocate()
        live.add(-1)
    }

    private static func word(_ index: Int, series: Int, version: Int) -> UInt64 {
        var random = SplitMix(seed: UInt64(version) << 16 ^ UInt64(series) << 8 ^ UInt64(index))
        return random.next() | 1
    }

    /// Makes the object unusable, twice: with stores, which the thread sanitizer sees outside of deinit, and with what
    /// no compiler leaves out although nobody may read the words any more.
    func wipe() {
        for index in 0..<Self.wordCount { words[index] = 0 }
        explicit_bzero(words, Self.wordCount * MemoryLayout<UInt64>.stride)
    }

    /// Whether all words are those of this version.
    var isWhole: Bool {
        for index in 0..<Self.wordCount where words[index] != Self.word(index, series: series, version: version) {
            return false
        }
        return true
    }
}

/// What one reader has seen so far, and what it finds wrong about the next object.
struct Watch {
    private(set) var newest: [Int: Int] = [:]
    private(set) var changes = 0

    /// Looks at an object during a read of it; lets others run meanwhile now and then.
    mutating func look(at object: borrowing Versioned, yielding: Bool = false) -> String? {
        let version = object.version
        let series = object.series
        guard object.isWhole else { return "version \(version) is torn, or was freed before the read began" }
        if yielding { sched_yield() }
        guard object.isWhole else { return "version \(version) was freed during the read" }
        guard object.version == version, object.series == series else {
            return "version \(version) turned into \(object.version) during the read"
        }
        let before = newest[series, default: 0]
        guard version >= before else { return "version \(version) after version \(before)" }
        if version > before { changes += 1 }
        newest[series] = version
        return nil
    }
}

/// One reader's way to read: lends out the newest object for the time of the closure.
typealias Reading = ((borrowing Versioned) -> Void) -> Void

/// What is under test, or the reference, or a broken copy: the same checks for all.
struct Publication: Sendable {
    /// Makes a reader; called on the reader's thread.
    var makeReading: @Sendable () -> Reading
    var publish: @Sendable (Versioned) -> Void
    /// Objects replaced but not yet freed.
    var retiredCount: @Sendable () -> Int
}

/// How much of what went on during ``readWhilePublishing(_:readers:publishers:publications:)``.
struct Traffic: Sendable {
    var findings: [String] = []
    var mostRetired = 0
    var reads = 0
    /// The fewest different objects that one reader saw.
    var fewestChanges = Int.max
}

/// Readers read without a pause while publishers publish, each `publications` objects.
///
/// That the readers keep reading is not left to the scheduler: after every few publications the publisher waits until
/// each reader has read again.
func readWhilePublishing(
    _ publication: Publication,
    readers: Int = 8,
    publishers: Int = 1,
    publications: Int,
    live: LooseCount
) throws -> Traffic {
    let findings = Findings()
    let traffic = Plain(Traffic())
    let publishing = Count(publishers)
    let reads = (0..<readers).map { _ in LooseCount() }
    try onThreads(readers + publishers) { index in
        if index < readers {
            let read = publication.makeReading()
            var watch = Watch()
            var number = 0
            repeat {
                number += 1
                read { object in
                    if let finding = watch.look(at: object, yielding: number % 16 == 0) { findings.note(finding) }
                }
                reads[index].add(1)
            } while publishing.now > 0 && findings.isEmpty
            traffic.change { [watch, number] in
                $0.reads += number
                $0.fewestChanges = min($0.fewestChanges, watch.changes)
            }
        } else {
            var mostRetired = 0
            for version in 1...publications where findings.isEmpty {
                publication.publish(Versioned(version, series: index - readers, in: live))
                mostRetired = max(mostRetired, publication.retiredCount())
                if version % 50 == 0 {
                    let before = reads.map(\.now)
                    let goOn = eventually { !findings.isEmpty || zip(reads, before).allSatisfy { $0.now > $1 + 1 } }
                    findings.expect(goOn, "the readers stand still")
                }
            }
            publishing.add(-1)
            traffic.change { [mostRetired] in $0.mostRetired = max($0.mostRetired, mostRetired) }
        }
    }
    traffic.change { $0.findings = findings.all }
    return traffic.now
}
