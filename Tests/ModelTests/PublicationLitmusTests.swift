import LockLadder
import Testing

import struct Synchronization.Atomic

/// Message passing on this machine, not in the model: whoever sees the address of an object sees the object whole.
@Suite struct PublicationLitmusTests {
    /// Plain fields, written before the object is published and never again.
    private final class Built: Sendable {
        let first: Int
        let second: Int
        let third: Int

        init(_ number: Int) {
            first = number
            second = ~number
            third = number &* 3
        }

        var isBuilt: Bool { second == ~first && third == first &* 3 }
    }

    /// Of each of two readers.
    private static let tries = 50_000_000
    private static let changes = 1_000

    @Test func showsNoHalfBuiltObjectInAHundredMillionReads() throws {
        let cell = SnapshotCell("test.litmus", Built(0))
        let readers = Shared()
        let published = Shared()
        var threads: [NamedThread] = []
        for _ in 0..<2 {
            let thread = NamedThread("test-litmus") {
                var reader = cell.makeReader()
                var halfBuilt = 0
                var changes = 0
                var last = -1
                var tries = 0
                // On a busy machine the publisher may not get a turn for a while: without changes nothing is tried.
                let end = MonotonicTime.now.advanced(byNanoseconds: 60_000_000_000)
                while tries < Self.tries || changes <= Self.changes && (tries % 1_024 != 0 || .now < end) {
                    tries += 1
                    reader.withSnapshot { object in
                        if !object.isBuilt { halfBuilt += 1 }
                        if object.first != last {
                            last = object.first
                            changes += 1
                        }
                    }
                }
                readers.halfBuilt.add(halfBuilt, ordering: .relaxed)
                readers.changes.add(changes, ordering: .relaxed)
                readers.done.add(1, ordering: .releasing)
            }
            threads.append(try #require(thread))
        }
        while readers.done.load(ordering: .acquiring) < 2 {
            published.changes.add(1, ordering: .relaxed)
            cell.publish(Built(published.changes.load(ordering: .relaxed)))
        }
        for thread in threads { #expect(thread.join(until: .now.advanced(byNanoseconds: 120_000_000_000))) }
        #expect(readers.halfBuilt.load(ordering: .relaxed) == 0)
        #expect(readers.changes.load(ordering: .relaxed) > 2 * Self.changes)
    }

    private final class Shared: Sendable {
        let halfBuilt = Atomic<Int>(0)
        let changes = Atomic<Int>(0)
        let done = Atomic<Int>(0)
    }
}
