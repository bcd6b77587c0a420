import AgentTestSupport
import ConfigAgent
import ConfigFetch
import ConfigSnapshot
import Foundation
import TestSupport
import Testing

@Suite("What origins do wrong")
struct FaultListTests {
    private func source(_ origin: HeldOrigin) -> AgentPlan.Source {
        AgentTestSupport.source("base", .http, url: origin.url("/a.json")) {
            $0.timeoutMilliseconds = 700
            $0.maxRedirects = 3
            $0.maxBytes = 64 << 10
        }
    }

    @Test(
        "The last good document stays, the code says what was wrong, and the next good one is taken",
        arguments: OriginFault.all
    )
    func fault(_ fault: OriginFault) throws {
        let origin = try HeldOrigin { _ in .http(200, body: Array(#"{"v":1}"#.utf8)) }
        defer { origin.stop() }
        // What takes long to make is made before anybody waits for it.
        _ = try? fault.reply(OriginRequest(method: "GET", path: "/", headers: [:], number: 0))
        let agent = try RunningAgent([source(origin)], in: TemporaryDirectory())
        try agent.start()
        #expect(agent.value("v") == "1")
        origin.answer { (try? fault.reply($0)) ?? .http(599) }
        let outcome = try agent.refresh("base")
        if let code = fault.code {
            #expect(outcome.failure?.code == code)
            #expect(agent.value("v") == "1")
            #expect(agent.agent.sourceFacts[sourceName("base")]?.failuresByClass == [code: 1])
        } else {
            #expect(outcome.failure == nil)
            #expect(agent.value("v") == "2")
        }
        origin.answer { _ in .http(200, body: Array(#"{"v":3}"#.utf8)) }
        try agent.refresh("base")
        #expect(agent.value("v") == "3")
    }

    @Test("The document for operators has the same list")
    func documented() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let text = readText("/\(root)/Sources/ConfigFetch/ConfigFetch.docc/Faults.md")
        var rows: [String: String] = [:]
        for line in text.split(separator: "\n") where line.hasPrefix("| ") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            if cells.count >= 2 { rows[cells[0]] = cells[1] }
        }
        for fault in OriginFault.all {
            #expect(rows[fault.name] == (fault.code.map { "`\($0)`" } ?? "taken"), "\(fault.name)")
        }
    }
}
