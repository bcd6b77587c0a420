import ConfigSnapshot
import ConfigTrust
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

    /// Plays a place whose every request is answered so late as to be given up, or as to be slow, and says after which
    /// time it is left.
    private func leaves(after answers: [Failover.Verdict], maxLatency: UInt64) -> UInt64? {
        var failover = Failover(places: 2, maxLatency: maxLatency)
        var now: UInt64 = 1_000 * second
        let start = now
        for index in 0..<100 {
            let begun = now
            // As late as such an answer may be without being something else, or as the move may take. The worst failure
            // is an answer that begins late and then does not go on.
            let silence = failover.longestSilence
            let stall = min(
                silence / 2,
                max(Failover.longestMove - min(silence, Failover.longestMove), Failover.probing)
            )
            let verdict = answers[index % answers.count]
            now = min(begun + silence + (verdict == .failed ? stall : 0), failover.moveBy ?? .max)
            if failover.note(verdict, at: now, begun: begun) != nil { return now - start }
            now += Failover.probing
        }
        return nil
    }

    @Test(
        "Whatever a place answers, and whatever is quick there, it is left within eight seconds of the first bad request",
        arguments: [
            [.slow], [.failed], [.slow, .failed], [.failed, .slow], [.slow, .slow, .failed], [.failed, .slow, .slow],
        ] as [[Failover.Verdict]]
    )
    func wholeMove(_ answers: [Failover.Verdict]) throws {
        for milliseconds: UInt64 in [1, 100, 200, 500, 999, 1_000, 1_500, 2_000, 3_999, 4_000, 7_000] {
            let took = try #require(leaves(after: answers, maxLatency: milliseconds * 1_000_000))
            #expect(took <= Failover.longestMove, "max_latency \(milliseconds) ms: \(took / 1_000_000) ms")
        }
        // Who calls an answer after twenty seconds quick learns only then that one is not.
        let late = try #require(leaves(after: answers, maxLatency: 20 * second))
        #expect(late >= 20 * second && late <= 21 * second)
    }

    @Test(
        "Where all have been tried in vain and one that is slow stays, the others are looked at, and moved to when good"
    )
    func slowWhileOthersAreBack() {
        var failover = Failover(places: 3)
        let found = moves(
            &failover,
            [.slow, .slow, .slow, .failed, .failed, .failed, .failed, .slow, .slow, .slow, .slow]
        )
        #expect(found.compactMap(\.self).map(\.to) == [1, 2, 0])
        #expect(failover.isExhausted && failover.active == 0)
        // Slow for ever; the third place is well again.
        #expect(moves(&failover, Array(repeating: .slow, count: 100)).allSatisfy { $0 == nil })
        var looks: [Int] = []
        var move: Failover.Move?
        for _ in 0..<20 where move == nil {
            guard let place = failover.nextProbe() else { break }
            looks.append(place)
            move = failover.noteProbe(place == 2 ? .good : .failed, of: place)
        }
        #expect(looks == [1, 2, 1, 2, 1, 2])
        #expect(move == Failover.Move(from: 0, to: 2, isReturn: true))
        #expect(!failover.isExhausted)
    }

    @Test("With prefer: latency, one that has died is left although it was the quickest")
    func quickestDies() {
        var failover = Failover(places: 2, preference: .latency, maxLatency: 4 * second)
        _ = failover.noteProbe(.good, of: 1, latency: second / 20)
        #expect(failover.note(.slow, latency: 5 * second, at: 105 * second, begun: 100 * second)?.to == 1)
        #expect(failover.note(.failed, at: 112 * second, begun: 105 * second)?.to == 0)
    }

    @Test("A place that is suspect has the time for an answer that would be quick, or is left at once")
    func fairness() {
        var failover = Failover(places: 2, maxLatency: 2 * second)
        #expect(failover.note(.slow, at: 13 * second, begun: 10 * second) == nil)
        #expect(failover.moveBy == 18 * second)
        // 14 s to 16 s: it is quick again.
        #expect(failover.note(.good, at: 16 * second, begun: 14 * second) == nil)
        #expect(failover.moveBy == nil)
        // A request at 34 s could not be answered in 5 s by 38 s.
        var other = Failover(places: 2, maxLatency: 5 * second)
        #expect(other.note(.slow, at: 36 * second, begun: 30 * second) == away)
        #expect(other.moveBy == nil, "the next place has its own time")
        // A refused connection is no reason to leave at once, however long an answer may take.
        var third = Failover(places: 2, maxLatency: 30 * second)
        #expect(third.note(.failed, at: 30 * second, begun: 30 * second) == nil)
        #expect(third.note(.failed, at: 31 * second, begun: 31 * second) == away)
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

    @Test("A place that does not answer for a while is left at once")
    func unavailable() {
        var failover = Failover(places: 2)
        #expect(moves(&failover, [.unavailable]) == [away])
    }

    @Test("Who wants to be left alone is neither moved to nor looked at before its time")
    func resting() {
        var failover = Failover(places: 3)
        failover.rest(0, until: 1_000)
        #expect(failover.note(.unavailable, at: 10) == away)
        #expect(failover.nextProbe(at: 999) == nil)
        #expect(failover.firstProbeAt == 1_000)
        var found: [Int] = []
        for _ in 0..<8 { if let move = failover.note(.failed, at: 20) { found.append(move.to) } }
        #expect(found == [2, 1, 2, 1], "the others go on taking turns")
        #expect(failover.note(.failed, at: 1_000) == nil)
        #expect(failover.note(.failed, at: 1_000)?.to == 2)
        let looks = [failover.nextProbe(at: 1_000), failover.nextProbe(at: 1_000)]
        #expect(looks == [1, 0], "all that have been tried in vain may have come back")
        #expect(failover.note(.failed, at: 1_000) == nil)
        #expect(failover.note(.failed, at: 1_000)?.to == 0)
        // All of them rest: it stays where it is, and is no suspect, who would be asked each second.
        for place in 0...2 { failover.rest(place, until: 5_000) }
        for _ in 0..<8 { #expect(failover.note(.failed, at: 2_000) == nil) }
        #expect(failover.active == 0)
        #expect(failover.isExhausted && !failover.isSuspect)
    }

    @Test("With nowhere to go, one that is slow stays in use and is asked as usual")
    func nowhere() {
        var failover = Failover(places: 2)
        failover.rest(0, until: 1_000)
        #expect(failover.note(.unavailable, at: 10) == away)
        #expect(failover.note(.good, at: 20) == nil)
        for _ in 0..<5 { #expect(failover.note(.slow, at: 30) == nil) }
        #expect(!failover.isSuspect)
    }

    @Test("Where all want to be left alone, the one that wants it for the shortest time is asked after it")
    func shortestRest() {
        var failover = Failover(places: 2)
        #expect(failover.note(.unavailable, at: 10) == away)
        failover.rest(1, until: 60)
        #expect(failover.note(.unavailable, at: 20)?.to == 0)
        failover.rest(0, until: 3_600)
        #expect(failover.note(.unavailable, at: 30) == away)
        #expect(failover.activeRests == 60)
        // After a sleep or a reload the same is known, and one is asked that may be.
        var later = Failover(places: 2)
        later.goOn(from: failover, at: 100)
        #expect(later.active == 1 && later.firstProbeAt == 3_600)
        later = Failover(places: 2)
        later.goOn(from: failover, at: 5_000)
        #expect(later.active == 0)
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

    @Test("A resting place has no turn among those that are looked at")
    func restingPlaces() {
        var failover = known([30, 28, 10])
        failover.rest(2, until: 1_000)
        let asked = (0..<3).map { _ in failover.nextProbe(at: 500) }
        #expect(asked == [1, 1, 1])
        #expect(failover.firstProbeAt == 0)
        failover.rest(1, until: 2_000)
        #expect(failover.nextProbe(at: 500) == nil)
        #expect(failover.firstProbeAt == 1_000)
        #expect(failover.note(.unavailable, at: 500) == nil, "nowhere to go")
        #expect(failover.note(.failed, at: 1_500)?.to == 2)
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
    private func document(
        _ hash: Int,
        at place: Int,
        changed: Int64? = nil,
        etag: String? = nil,
        order: (series: UInt64, number: Int64)? = nil
    ) -> RevisionMemory.Document {
        RevisionMemory.Document(
            hash: hash,
            changedAt: changed,
            order: order.map { Validators.Order(series: $0.series, number: $0.number) },
            etag: etag,
            place: place
        )
    }

    private let body = Array("{}".utf8)
    private let there = "http://mirror.example/a"

    /// After a start on a stored copy of a source with one mirror.
    private func seeded(_ said: Validators) throws -> RevisionMemory {
        let source = spec("a", .http, "http://first.example/a") { $0.mirrors = [there] }
        let stored = SourceRevision(
            source: source.name,
            digest: try #require(ContentDigest(of: body)),
            validators: said,
            fetchedAt: 0,
            traceID: ""
        )
        var memory = RevisionMemory()
        memory.seed(stored, places: source.places)
        return memory
    }

    private func mirrorDigest(_ url: String) -> String? { spec("a", .http, url).mirrorDigest }

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

    @Test("The last to say it is the one who may take it back: a place that was left and is back with less is behind")
    func owner() {
        var memory = RevisionMemory()
        memory.accept(document(1, at: 0))
        memory.accept(document(2, at: 0))
        memory.accept(document(2, at: 1))
        #expect(memory.judge(document(1, at: 0)) == .older, "the first place was left, and is back with less")
        #expect(memory.judge(document(1, at: 1)) == .fine, "taken back where it was asked last")
        memory.accept(document(3, at: 1))
        #expect(memory.judge(document(2, at: 0)) == .older, "the first place is back, and lags")
        // Once the first place says it too, it may take it back, and the mirror follows.
        memory.accept(document(3, at: 0))
        #expect(memory.judge(document(2, at: 1)) == .older)
        #expect(memory.judge(document(2, at: 0)) == .fine)
    }

    @Test func times() {
        var memory = RevisionMemory()
        memory.accept(document(1, at: 0, changed: 100))
        #expect(memory.judge(document(2, at: 1, changed: 99)) == .older)
        #expect(memory.judge(document(2, at: 1, changed: 100)) == .fine)
        #expect(memory.judge(document(2, at: 1)) == .fine)
        #expect(memory.judge(document(2, at: 0, changed: 99)) == .fine)
    }

    private let date = "Sun, 22 Nov 2026 00:00:00 GMT"
    private let changed: Int64 = 1_795_305_600

    @Test("After a start what its place said of the stored copy is known")
    func afterStart() throws {
        var memory = try seeded(Validators(etag: "\"7\"", lastModified: date))
        #expect(memory.judge(document(1, at: 1, changed: changed - 1)) == .older)
        #expect(memory.judge(document(1, at: 1, changed: changed)) == .fine)
        #expect(memory.judge(document(1, at: 0, changed: changed - 1)) == .fine, "its own place may take it back")
        memory.accept(document(1, at: 0, changed: changed))
        #expect(memory.judge(document(2, at: 1, changed: changed - 1)) == .older)
    }

    @Test("The copy came from a mirror: the first place, back with something older, is not believed after a start")
    func afterStartOnMirror() throws {
        let memory = try seeded(Validators(lastModified: date, mirror: mirrorDigest(there)))
        #expect(memory.judge(document(1, at: 0, changed: changed - 1)) == .older)
        #expect(memory.judge(document(1, at: 1, changed: changed - 1)) == .fine)
        // A mirror that is configured no more has no successor who could take its document back.
        let orphan = try seeded(Validators(lastModified: date, mirror: mirrorDigest("http://gone.example/a")))
        #expect(orphan.judge(document(1, at: 0, changed: changed - 1)) == .older)
        #expect(orphan.judge(document(1, at: 1, changed: changed - 1)) == .older)
        #expect(orphan.judge(document(1, at: 0, changed: changed + 1)) == .fine)
        // But whoever says the same may take it back.
        var adopted = orphan
        adopted.recognise(6) { .init(of: body) }
        adopted.accept(document(6, at: 0, changed: changed))
        #expect(adopted.judge(document(1, at: 0, changed: changed - 1)) == .fine)
    }

    @Test("The same bytes are the same document, also after a start, whatever is said of them")
    func recognised() throws {
        var memory = try seeded(Validators(etag: "\"7\"", lastModified: date, mirror: mirrorDigest(there)))
        memory.recognise(5) { .init(of: Array("[]".utf8)) }
        #expect(memory.judge(document(5, at: 0, changed: changed - 1)) == .older)
        #expect(memory.judge(document(5, at: 0, etag: "\"7\"")) == .disagrees(with: 1), "other bytes, same name")
        memory.recognise(6) { .init(of: body) }
        #expect(memory.judge(document(6, at: 0, changed: changed - 1)) == .fine)
        var asked = false
        memory.recognise(7) {
            asked = true
            return nil
        }
        #expect(!asked, "a digest costs time, and is needed once")
        // Whose it was stays known.
        memory.accept(document(6, at: 1, changed: changed - 1))
        #expect(memory.judge(document(8, at: 0, changed: changed - 1)) == .older)
    }

    @Test("What had just been changed when it came has a time but no name yet")
    func young() throws {
        let memory = try seeded(Validators(etag: "\"7\"", lastModified: date, areYoung: true))
        #expect(memory.judge(document(1, at: 1, changed: changed - 1)) == .older)
        #expect(memory.judge(document(1, at: 1, changed: changed, etag: "\"7\"")) == .fine)
    }

    @Test("Where the source counts, its count decides, within one series")
    func counted() throws {
        var memory = RevisionMemory()
        memory.accept(document(1, at: 0, changed: 100, order: (1, 10)))
        #expect(memory.judge(document(2, at: 1, changed: 200, order: (1, 9))) == .older)
        #expect(memory.judge(document(2, at: 1, changed: 50, order: (1, 11))) == .fine)
        #expect(memory.judge(document(2, at: 1, order: (2, 9))) == .fine, "another cluster counts on its own")
        #expect(memory.judge(document(2, at: 1)) == .fine)
        // Put back on purpose: the count has gone on, whatever was seen before.
        memory.accept(document(2, at: 0, order: (1, 12)))
        #expect(memory.judge(document(1, at: 1, order: (1, 15))) == .fine)
        #expect(memory.judge(document(1, at: 1)) == .older)
        let stored = try seeded(Validators(order: .init(series: 1, number: 10)))
        #expect(stored.judge(document(2, at: 1, order: (1, 9))) == .older)
        #expect(stored.judge(document(2, at: 1, order: (1, 12))) == .fine)
    }

    @Test("Members of a cluster that differ at one of its revisions disagree; one that says the same does not")
    func disagreementOfMembers() {
        var memory = RevisionMemory()
        memory.accept(document(1, at: 0, order: (7, 10)))
        #expect(memory.judge(document(2, at: 1, order: (7, 10))) == .disagrees(with: 0))
        #expect(memory.judge(document(1, at: 1, order: (7, 10))) == .fine)
        #expect(memory.judge(document(2, at: 1, order: (8, 10))) == .fine, "of another cluster")
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
