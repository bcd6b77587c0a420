import ConfigFetch
import ConfigGuard
import ConfigSnapshot
import Testing

@testable import ConfigAgent

@Suite("How long all sources may take")
struct PatienceTests {
    @Test("Whoever waits for all sources waits for their commands, too, and for those that wait for others")
    func patience() throws {
        var plan = AgentPlan(sources: [], stateDirectory: "/tmp")
        #expect(plan.patience == 10_000_000_000)
        for number in 1...9 {
            let name = try #require(SourceName("s\(number)"))
            let poll: ClosedRange<UInt64> = 1_000_000_000...1_000_000_000
            var fetch = SourceSpec(name: name, kind: .http, url: "http://127.0.0.1/", poll: poll)
            fetch.timeoutMilliseconds = number * 1_000
            var source = AgentPlan.Source(fetch: fetch)
            if number > 1 { source.rules.check = Check(command: ["/bin/true"], timeoutMilliseconds: 60_000) }
            plan.sources.append(source)
        }
        #expect(plan.patience == (9 + 70 + 10) * 1_000_000_000)
        plan.sources[0].rules.check = Check(command: ["/bin/true"], timeoutMilliseconds: 100)
        #expect(plan.patience == (9 + 140 + 10) * 1_000_000_000)
    }
}
