import LockLadder
import Testing

@Suite struct PaddedCounterTests {
    @Test func addsUpWhatManyThreadsCount() throws {
        let one = PaddedCounter()
        let other = PaddedCounter()
        try onThreads(8) { index in
            for round in 0..<20_000 {
                one.add()
                if round % 4 == 0 { other.add(UInt64(index)) }
            }
        }
        #expect(one.count == 160_000)
        #expect(other.count == 5_000 * 28)
    }

    @Test func tellsTheCountAfterEachAddition() {
        let counter = PaddedCounter()
        #expect(counter.count == 0)
        #expect(counter.add() == 1)
        #expect(counter.add(41) == 42)
        #expect(counter.count == 42)
        counter.add(.max)
        #expect(counter.count == 41)
    }

    @Test func givesEachOfManyThreadsCountsOfItsOwn() throws {
        let counter = PaddedCounter()
        let seen = Plain<Set<UInt64>>([])
        try onThreads(8) { _ in
            let mine = (0..<1_000).map { _ in counter.add() }
            seen.change { $0.formUnion(mine) }
        }
        #expect(seen.now.count == 8_000)
    }

    /// Where the counter's number lies: the only word of the object that shows it.
    private func extent(of counter: PaddedCounter) -> (object: Range<UInt>, number: UInt)? {
        let magic: UInt64 = 0x5EED_F00D_CAFE_D00D
        counter.add(magic)
        let start = Unmanaged.passUnretained(counter).toOpaque()
        let size = Linked.usableSize(of: start)
        let places = stride(from: 0, to: size - 7, by: 8).filter {
            start.load(fromByteOffset: $0, as: UInt64.self) == magic
        }
        guard places.count == 1 else { return nil }
        let address = UInt(bitPattern: start)
        return (address..<(address + UInt(size)), address + UInt(places[0]))
    }

    @Test func sharesItsLineWithNothingElse() throws {
        let counters = (0..<500).map { _ in PaddedCounter() }
        var lines: Set<UInt> = []
        for counter in counters {
            let (object, number) = try #require(extent(of: counter))
            let line = number & ~127
            // The line lies within the object, past its header: neither a neighbour nor a reference count is on it.
            #expect(line >= object.lowerBound + 16)
            #expect(line + 128 <= object.upperBound)
            #expect(lines.insert(line).inserted)
        }
        withExtendedLifetime(counters) {}
    }
}
