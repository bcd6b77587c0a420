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

    @Test("Health is judged from all that are not well, and of those alone; not of those that sleep")
    func whatMatters() {
        #expect(!well.matters(at: 101 * second))
        #expect(well.matters(at: 100 * second + well.staleAfterNanoseconds + 1))
        let changes: [(inout SourceFacts) -> Void] = [
            { $0.consecutiveFailures = 1 }, { $0.isLastGood = true }, { $0.revision = nil },
        ]
        for change in changes {
            var facts = well
            change(&facts)
            #expect(facts.matters(at: 101 * second))
            facts.isAsleep = true
            #expect(!facts.matters(at: 101 * second))
        }
        // Whoever has recovered would matter for ever: after a restart from stored copies that is every source.
        var recovered = well
        recovered.recoveredAt = 1
        #expect(!recovered.matters(at: 101 * second))
    }
}
