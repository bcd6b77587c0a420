import Testing

@testable import ConfigFetch

@Suite("Which of its places a source is asked at")
struct FailoverTests {
    /// The moves that these verdicts on the place that is asked come to.
    private func moves(_ failover: inout Failover, _ verdicts: [Failover.Verdict]) -> [Failover.Move?] {
        var moves: [Failover.Move?] = []
        for verdict in verdicts { moves.append(failover.note(verdict)) }
        return moves
    }

    private let away = Failover.Move(from: 0, to: 1, isReturn: false)

    @Test func failures() {
        var failover = Failover(places: 2)
        #expect(moves(&failover, [.good, .failed, .good, .failed]) == [nil, nil, nil, nil])
        #expect(failover.isSuspect)
        #expect(moves(&failover, [.failed]) == [away])
        #expect(failover.active == 1 && !failover.isSuspect)
    }

    @Test func slowness() {
        var failover = Failover(places: 2)
        #expect(moves(&failover, [.slow, .slow, .good, .slow, .slow]) == [nil, nil, nil, nil, nil])
        #expect(moves(&failover, [.slow]) == [away])
    }

    @Test("A source with one place stays there, and is no suspect for ever")
    func onePlace() {
        var failover = Failover(places: 1)
        #expect(moves(&failover, [.failed, .failed, .slow, .slow, .slow, .slow]).allSatisfy { $0 == nil })
        #expect(failover.active == 0)
    }

    @Test("When all of them fail they go on taking turns, but at the pace of retries")
    func allBad() {
        var failover = Failover(places: 3)
        let found = moves(&failover, Array(repeating: .failed, count: 12)).compactMap(\.self)
        #expect(found.map(\.to) == [1, 2, 0, 1, 2, 0])
        #expect(failover.isExhausted && !failover.isSuspect)
        // One good answer, and it is as at the beginning.
        #expect(failover.note(.good) == nil)
        #expect(!failover.isExhausted)
        #expect(moves(&failover, [.failed, .failed]) == [nil, away])
    }

    @Test("When all of them are slow, they are tried once, and then one of them stays")
    func allSlow() {
        var failover = Failover(places: 2)
        let found = moves(&failover, Array(repeating: .slow, count: 20)).compactMap(\.self)
        #expect(found.map(\.to) == [1, 0])
        #expect(!failover.isSuspect)
    }

    @Test("A slow place is better than a dead one")
    func slowOrDead() {
        var failover = Failover(places: 2)
        var found: [Int] = []
        for _ in 0..<30 {
            // The first is dead, the second slow.
            if let move = failover.note(failover.active == 0 ? .failed : .slow) { found.append(move.to) }
        }
        #expect(found == [1, 0, 1])
        #expect(failover.active == 1)
    }

    @Test("The way back takes several good probes in a row")
    func wayBack() {
        var failover = Failover(places: 2)
        _ = moves(&failover, [.failed, .failed])
        var found: [Failover.Move?] = []
        for verdict: Failover.Verdict in [.good, .good, .slow, .good, .good, .failed, .good, .good, .good] {
            found.append(failover.noteProbe(verdict))
        }
        #expect(found.dropLast().allSatisfy { $0 == nil })
        #expect(found.last == Failover.Move(from: 1, to: 0, isReturn: true))
        let again = failover.noteProbe(.good)
        #expect(again == nil, "it is there already")
    }
}

@Suite("Places that answer sooner")
struct PreferenceTests {
    private let millisecond: UInt64 = 1_000_000

    /// Of three places the first is asked, and what they answer is known.
    private func known(_ latencies: [UInt64]) -> Failover {
        var failover = Failover(places: 3, preference: .latency)
        #expect(failover.hasProbes)
        #expect(failover.probeInterval() == Failover.returning.every)
        #expect(failover.note(.good, latency: latencies[0] * millisecond) == nil)
        for _ in 1...2 {
            let place = failover.nextProbe()
            _ = failover.noteProbe(.good, of: place ?? 0, latency: latencies[place ?? 0] * millisecond)
        }
        return failover
    }

    @Test("It takes being clearly quicker, several times in a row, and each place has its turn to show it")
    func quicker() {
        var failover = known([30, 28, 10])
        var found: [Failover.Move?] = []
        var asked: [Int?] = []
        for _ in 0..<4 {
            let place = failover.nextProbe()
            asked.append(place)
            found.append(failover.noteProbe(.good, of: place ?? 0, latency: (place == 2 ? 10 : 28) * millisecond))
        }
        #expect(asked == [1, 2, 1, 2])
        #expect(found == [nil, nil, nil, Failover.Move(from: 0, to: 2, isReturn: true)])
        #expect(failover.active == 2)
        #expect(failover.nextProbe() != 2)
    }

    @Test("Places that are about as quick are not moved between, and looked at ever more seldom")
    func alike() {
        var failover = known([20, 21, 19])
        #expect(failover.probeInterval() == Failover.comparing)
        #expect(failover.probeInterval(poll: 3_600 * second) == 3_600 * second)
        for round in 0..<100 {
            let place = failover.nextProbe() ?? 0
            let latency = (20 + UInt64(round % 3)) * millisecond - 2 * millisecond
            #expect(failover.noteProbe(.good, of: place, latency: latency) == nil)
            #expect(failover.note(.good, latency: 20 * millisecond) == nil)
        }
        // Nor where all are so near that a fourth is nothing.
        var near = known([1, 1, 1])
        for _ in 0..<10 {
            let place = near.nextProbe() ?? 0
            #expect(near.noteProbe(.good, of: place, latency: millisecond / 10) == nil)
        }
    }

    @Test("Slow or silent, it is no candidate; and whoever leaves goes to the quickest that answers")
    func candidates() {
        var failover = known([20, 5, 3])
        // The quickest has died, and is still looked at no more than the others.
        #expect(failover.noteProbe(.failed, of: 2) == nil)
        #expect(failover.noteProbe(.slow, of: 1, latency: 5 * millisecond) == nil)
        #expect(failover.probeInterval() == Failover.comparing)
        #expect(failover.note(.failed) == nil)
        #expect(failover.note(.failed) == Failover.Move(from: 0, to: 1, isReturn: false))
        #expect(failover.note(.failed) == nil)
        #expect(failover.note(.failed) == Failover.Move(from: 1, to: 2, isReturn: false))
        #expect(failover.note(.failed) == nil)
        #expect(failover.note(.failed) == Failover.Move(from: 2, to: 0, isReturn: false))
        #expect(failover.isExhausted)
    }

    @Test("Where all are slow, the one that is least so is asked, and one that gets better is found")
    func allSlow() {
        var failover = known([900, 250, 600])
        var found: [Int] = []
        for _ in 0..<30 {
            let latency: UInt64 = [900, 250, 600][failover.active] * millisecond
            if let move = failover.note(.slow, latency: latency) { found.append(move.to) }
        }
        #expect(found == [1, 2, 1])
        #expect(failover.isExhausted)
        for _ in 0..<2 { #expect(failover.noteProbe(.slow, of: 0, latency: 20 * millisecond) == nil) }
        for _ in 0..<20 where failover.active == 1 { _ = failover.noteProbe(.slow, of: 0, latency: 20 * millisecond) }
        #expect(failover.active == 0)
    }

    @Test("A time that stands out once decides nothing")
    func smoothed() {
        var failover = known([20, 20, 20])
        _ = failover.noteProbe(.good, of: 1, latency: millisecond)
        #expect(failover.noteProbe(.good, of: 1, latency: 20 * millisecond) == nil)
        #expect(failover.noteProbe(.good, of: 1, latency: 20 * millisecond) == nil)
        #expect(failover.noteProbe(.good, of: 1, latency: 20 * millisecond) == nil)
        #expect(failover.active == 0)
    }
}

@Suite("Old documents from other places")
struct RevisionMemoryTests {
    private func document(_ hash: Int, at place: Int, changed: Int64? = nil, etag: String? = nil)
        -> RevisionMemory.Document
    {
        RevisionMemory.Document(hash: hash, changedAt: changed, etag: etag, place: place)
    }

    @Test func laggards() {
        var memory = RevisionMemory()
        #expect(memory.judge(document(1, at: 0)) == .fine)
        memory.accept(document(1, at: 0))
        memory.accept(document(2, at: 0))
        #expect(memory.judge(document(2, at: 1)) == .fine, "the same")
        #expect(memory.judge(document(1, at: 1)) == .older)
        #expect(memory.judge(document(3, at: 1)) == .fine, "never seen")
        // Who gave what is in use may take it back, and then the others follow.
        #expect(memory.judge(document(1, at: 0)) == .fine)
        memory.accept(document(1, at: 0))
        #expect(memory.judge(document(1, at: 1)) == .fine)
        #expect(memory.judge(document(2, at: 1)) == .older)
    }

    @Test("The first to say it stays the one who may take it back")
    func owner() {
        var memory = RevisionMemory()
        memory.accept(document(1, at: 0))
        memory.accept(document(2, at: 0))
        memory.accept(document(2, at: 1))
        #expect(memory.judge(document(1, at: 1)) == .older)
        memory.accept(document(3, at: 1))
        #expect(memory.judge(document(2, at: 0)) == .older, "the first place is back, and lags")
    }

    @Test func times() {
        var memory = RevisionMemory()
        memory.accept(document(1, at: 0, changed: 100))
        #expect(memory.judge(document(2, at: 1, changed: 99)) == .older)
        #expect(memory.judge(document(2, at: 1, changed: 100)) == .fine)
        #expect(memory.judge(document(2, at: 1)) == .fine)
        #expect(memory.judge(document(2, at: 0, changed: 99)) == .fine)
    }

    @Test("After a start only what the place in use said of its document is known")
    func seeded() {
        var memory = RevisionMemory()
        memory.seed(etag: "\"7\"", changedAt: 100)
        #expect(memory.judge(document(1, at: 1, changed: 99)) == .older)
        #expect(memory.judge(document(1, at: 1, changed: 100, etag: "\"7\"")) == .fine)
        #expect(memory.judge(document(1, at: 0, changed: 99)) == .fine)
        memory.accept(document(1, at: 0, changed: 100))
        #expect(memory.judge(document(2, at: 1, changed: 99)) == .older)
    }

    @Test func disagreement() {
        var memory = RevisionMemory()
        memory.accept(document(1, at: 0, etag: "\"v7\""))
        #expect(memory.judge(document(2, at: 1, etag: "\"v7\"")) == .disagrees(with: 0))
        #expect(memory.judge(document(2, at: 0, etag: "\"v7\"")) == .fine)
        memory.accept(document(3, at: 0, etag: "W/\"v8\""))
        #expect(memory.judge(document(4, at: 1, etag: "W/\"v8\"")) == .fine, "weak ones promise less")
    }
}
