import AgentTestSupport
import ConfigAgent
import ConfigDecode
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

    private static let sources = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/Sources"
    private static let document = readText("\(sources)/ConfigFetch/ConfigFetch.docc/Faults.md")

    @Test("Each code that fetching, verifying and decoding know is explained in it, and no other")
    func codes() throws {
        var known = Set(DecodeError.Code.allCases.map(\.rawValue))
        let written = /(?:StageFailure\(\s*\.\w+,\s*|Self\.failure\(\s*|Code = )"([a-z_]+)"/
        let ofTransfers = /\.\w+: "([a-z_]+)"/
        for module in ["ConfigFetch", "ConfigVerify", "ConfigTrust", "ConfigSnapshot"] {
            let files = try #require(FileManager.default.enumerator(atPath: "\(Self.sources)/\(module)"))
            for case let file as String in files where file.hasSuffix(".swift") {
                let text = readText("\(Self.sources)/\(module)/\(file)")
                known.formUnion(text.matches(of: written).map { String($0.1) })
                if file.hasSuffix("/Answer.swift") {
                    known.formUnion(text.matches(of: ofTransfers).map { String($0.1) })
                }
            }
        }
        #expect(known.count > 35, "they are found: \(known.sorted())")
        let explained = Set(Self.document.matches(of: /`([a-z_0-9]+)`/).map { String($0.1) })
        #expect(known.subtracting(explained).isEmpty)
        let rows = Self.document.split(separator: "\n").filter { $0.hasPrefix("| ") }
        let listed = Set(
            rows.compactMap { $0.split(separator: "|")[1].firstMatch(of: /`([a-z_0-9]+)`/)?.1 }.map(String.init)
        )
        #expect(listed.count > 30)
        #expect(listed.subtracting(known).isEmpty)
    }

    @Test("The document for operators has the same list")
    func documented() throws {
        let text = Self.document
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
