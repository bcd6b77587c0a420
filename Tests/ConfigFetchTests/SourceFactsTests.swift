import ConfigSnapshot
import Testing

@testable import ConfigFetch

@Suite struct SourceFactsTests {
    private let second: Int64 = 1_000_000_000

    /// Of a source of which all is well: confirmed just now.
    private var well: SourceFacts {
        let name = SourceName("app")!
        var facts = SourceFacts(
            spec: SourceSpec(name: name, kind: .http, url: "http://127.0.0.1/", poll: 1_000_000_000...1_000_000_000)
        )
        facts.lastSuccessAt = 100 * second
        facts.revision = SourceRevision(
            source: name,
            digest: ContentDigest(bytes: [UInt8](repeating: 0, count: 32))!,
            validators: .none,
            fetchedAt: 100 * second,
            traceID: ""
        )
        return facts
    }

    /// Whether a judgement of the agent's health looks at it.
    private func matters(_ facts: SourceFacts, at now: Int64) -> Bool {
        let board = SourceBoard([facts.spec])
        board.update(facts.spec.name) { $0 = facts }
        return !board.overview(at: now).mattering.isEmpty
    }

    @Test("What all have confirmed is as old as the oldest confirmation, and nothing while one has given none")
    func confirmed() {
        let specs = (0..<3).map { number in
            SourceSpec(name: SourceName("s\(number)")!, kind: .http, url: "http://x/", poll: 1_000...1_000)
        }
        let board = SourceBoard(specs)
        #expect(board.overview(at: 0).confirmedAt == nil)
        for (number, spec) in specs.enumerated() {
            board.update(spec.name) { facts in
                facts.revision = well.revision
                facts.confirmedAt = Int64(100 + number)
                facts.recoveredAt = Int64(200 + number)
            }
        }
        #expect(board.overview(at: 0).confirmedAt == 100)
        #expect(board.overview(at: 0).recoveredAt == 202)
        #expect(board.overview(at: 0).count == 3)
        board.update(specs[1].name) { $0.confirmedAt = nil }
        #expect(board.overview(at: 0).confirmedAt == nil)
        // Another order of things: each goes on to have its own.
        board.adopt(specs.reversed(), inUse: [:], restored: [])
        board.update(specs[1].name) { $0.confirmedAt = 90 }
        #expect(board.overview(at: 0).confirmedAt == 90)
    }

    @Test("A layer without a document is told of")
    func lacking() {
        let board = SourceBoard([well.spec])
        #expect(board.overview(at: 0).lacking == [well.spec.name])
        board.update(well.spec.name) { $0 = well }
        #expect(board.overview(at: 0).lacking.isEmpty)
    }

    @Test("What was confirmed of one document is not confirmed of the one that an operator brings into use")
    func confirmedOfAnother() throws {
        var facts = well
        let confirmed = try #require(facts.revision)
        facts.confirmedAt = 100 * second
        let other = SourceRevision(
            source: facts.spec.name,
            digest: try #require(ContentDigest(bytes: [UInt8](repeating: 1, count: 32))),
            validators: .none,
            fetchedAt: 50 * second,
            traceID: ""
        )
        facts.noteRunning(confirmed, at: 101 * second)
        #expect(facts.confirmedAt == 100 * second)
        facts.noteRunning(other, at: 102 * second)
        #expect(facts.confirmedAt == nil)
    }

    @Test("When it succeeded last is known after it has slept, and is not what makes it stale then")
    func lastSuccess() {
        var facts = well
        facts.fallAsleep(at: 101 * second)
        facts.wakeUp()
        #expect(facts.lastSuccessAt == 100 * second)
        #expect(facts.staleSince == nil)
    }

    @Test("Health is judged from all that are not well, and of those alone; not of those that sleep")
    func whatMatters() {
        #expect(!matters(well, at: 101 * second))
        #expect(matters(well, at: 100 * second + well.staleAfterNanoseconds + 1))
        let changes: [(inout SourceFacts) -> Void] = [
            { $0.consecutiveFailures = 1 }, { $0.isLastGood = true }, { $0.revision = nil },
        ]
        for change in changes {
            var facts = well
            change(&facts)
            #expect(matters(facts, at: 101 * second))
            facts.isAsleep = true
            #expect(!matters(facts, at: 101 * second))
        }
        // Whoever has recovered would matter for ever: after a restart from stored copies that is every source.
        var recovered = well
        recovered.recoveredAt = 1
        #expect(!matters(recovered, at: 101 * second))
    }
}
