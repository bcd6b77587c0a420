import LockLadder
import Testing

@Suite struct BoundedRingTests {
    @Test(arguments: [(0, 2), (1, 2), (2, 2), (3, 4), (4, 4), (5, 8), (1_000, 1_024)])
    func holdsItsCapacityRoundedUp(capacity: Int, rounded: Int) {
        let ring = BoundedRing<Int>(capacity: capacity)
        for number in 0..<rounded { #expect(ring.push(number)) }
        #expect(!ring.push(-1))
        #expect(!ring.push(-2))
        for number in 0..<rounded { #expect(ring.pop() == number) }
        #expect(ring.pop() == nil)
    }

    @Test func goesRoundManyTimesInOrder() {
        let ring = BoundedRing<Int>(capacity: 4)
        var pushed = 0
        var popped = 0
        var random = SplitMix(seed: 7)
        for _ in 0..<20_000 {
            if Bool.random(using: &random) {
                let fits = ring.push(pushed)
                #expect(fits == (pushed - popped < 4))
                if fits { pushed += 1 }
            } else {
                let number = ring.pop()
                #expect(number == (pushed > popped ? popped : nil))
                if number != nil { popped += 1 }
            }
        }
    }

    @Test func keepsNoReferenceToWhatWasTakenRefusedOrLeftBehind() {
        let live = LooseCount()
        do {
            let ring = BoundedRing<Counted>(capacity: 4)
            for number in 0..<4 { #expect(ring.push(Counted(number, in: live))) }
            #expect(live.now == 4)
            #expect(!ring.push(Counted(4, in: live)))
            #expect(live.now == 4, "a refused element is dropped")
            #expect(ring.pop()?.number == 0)
            #expect(live.now == 3, "a taken element is no longer in the ring")
            #expect(ring.push(Counted(5, in: live)))
            #expect(live.now == 4)
        }
        #expect(live.now == 0, "what was left in the ring goes with it")
    }

    /// One element as a producer made it: its parts must arrive together.
    private struct Parcel: Sendable {
        let producer: Int
        let sequence: Int
        let check: Int
        let content: Counted

        init(producer: Int, sequence: Int, live: LooseCount) {
            self.producer = producer
            self.sequence = sequence
            check = producer &* 7_919 ^ sequence
            content = Counted(sequence, in: live)
        }

        var isWhole: Bool { check == producer &* 7_919 ^ sequence && content.number == sequence }
    }

    /// Seven producers and one consumer: exactly what was accepted comes out, each producer's in order.
    @Test(arguments: [2, 8, 256])
    func losesAndDoublesNothing(capacity: Int) throws {
        let producers = 7
        let attempts = 4_000
        let live = LooseCount()
        let accepted = Plain<[Int: [Int]]>([:])
        let finished = Count()
        let received = Plain<[Int: [Int]]>([:])
        let findings = Findings()
        do {
            let ring = BoundedRing<Parcel>(capacity: capacity)
            try onThreads(producers + 1) { index in
                guard index < producers else {
                    var mine: [Int: [Int]] = [:]
                    while true {
                        // Looked at before the ring: what was pushed before the last one finished is still taken.
                        let last = finished.now == producers
                        while let parcel = ring.pop() {
                            findings.expect(parcel.isWhole, "half a parcel")
                            mine[parcel.producer, default: []].append(parcel.sequence)
                        }
                        if last { break }
                    }
                    received.change { [mine] in $0 = mine }
                    return
                }
                var mine: [Int] = []
                for sequence in 0..<attempts
                where ring.push(Parcel(producer: index, sequence: sequence, live: live)) { mine.append(sequence) }
                accepted.change { [mine] in $0[index] = mine }
                finished.add(1)
            }
            #expect(ring.pop() == nil)
        }
        #expect(findings.all == [])
        for producer in 0..<producers {
            #expect(received.now[producer, default: []] == accepted.now[producer, default: []])
        }
        #expect(eventually { live.now == 0 })
    }

    /// With room for all, nothing is ever refused: a full ring is the only reason.
    @Test(arguments: [2, 8])
    func refusesOnlyWhenFull(producers: Int) throws {
        let each = 400_000 / producers
        let ring = BoundedRing<Int>(capacity: producers * each)
        let refused = LooseCount()
        try onThreads(producers) { index in
            for number in 0..<each where !ring.push(index * each + number) { refused.add(1) }
        }
        #expect(refused.now == 0)
        var seen = [Bool](repeating: false, count: producers * each)
        var doubled = 0
        while let number = ring.pop() {
            if seen[number] { doubled += 1 }
            seen[number] = true
        }
        let lost = seen.count { !$0 }
        #expect(doubled == 0 && lost == 0)
    }
}
