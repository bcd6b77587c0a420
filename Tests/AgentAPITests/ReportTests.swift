import AgentAPI
import Testing

@Suite struct ReportTests {
    /// Encodes `report`, reads it back, and holds it against its schema; with every member present, each property
    /// of the schema has to occur.
    private func check<Report: Codable & Equatable>(_ report: Report, schema name: String) throws {
        let json = try WireJSON.encode(report)
        #expect(try WireJSON.decode(Report.self, from: json) == report)
        #expect(try WireJSON.decode(Report.self, from: WireJSON.encodePretty(report)) == report)
        let value = try WireJSON.decode(JSONValue.self, from: json)
        let schema = try Schema(named: name)
        #expect(schema.faults(in: value) == [])
        #expect(schema.properties(in: value) == schema.properties)
    }

    @Test func everyReportRoundTripsAndIsAsItsSchemaSays() throws {
        try check(Samples.status, schema: "status")
        try check(Samples.locks, schema: "locks")
        try check(Samples.sources, schema: "sources")
        try check(Samples.refresh, schema: "refresh")
        try check(Samples.reload, schema: "reload")
        try check(Samples.refusal, schema: "config-error")
        try check(Samples.health, schema: "health")
        try check(Samples.action, schema: "action")
        try check(Samples.history, schema: "history")
        try check(QuarantineReport(documents: [Samples.quarantined]), schema: "quarantine")
        try check(AcceptReport(document: Samples.quarantined, durable: true), schema: "accept")
        try check(Samples.diff, schema: "diff")
        try check(Samples.explanation, schema: "explain")
    }

    @Test func theSchemaRefusesWhatItDoesNotKnow() throws {
        let schema = try Schema(named: "health")
        #expect(schema.faults(in: .object(["status": .string("ok"), "reasons": .array([])])) == [])
        #expect(schema.faults(in: .object(["status": .string("ok")])) == [".reasons: missing"])
        let more = JSONValue.object(["status": .string("fine"), "reasons": .array([.number(1)]), "x": .null])
        #expect(
            Set(schema.faults(in: more)) == [
                ".x: not in the schema", ".status: not one of the enumerated", ".reasons[0]: not string",
            ]
        )
    }

    @Test func everyPropertyOfEverySchemaIsDescribed() throws {
        func check(_ schema: JSONValue, _ place: String) {
            for (name, property) in schema["properties"]?.members ?? [:] {
                #expect(property["description"]?.text?.isEmpty == false, "\(place).\(name)")
            }
            if schema["properties"] != nil { #expect(schema["additionalProperties"] == .bool(false), "\(place)") }
            for (name, definition) in schema["$defs"]?.members ?? [:] { check(definition, "\(place)#\(name)") }
        }
        for name in ["status", "locks", "sources", "refresh", "reload", "config-error", "health"] {
            let root = try Schema(named: name).root
            #expect(root["$schema"] == .string("https://json-schema.org/draft/2020-12/schema"))
            check(root, name)
        }
    }

    @Test func anAgentWithoutSnapshotSaysNull() throws {
        var status = Samples.status
        status.snapshot = nil
        status.confirmedAt = nil
        status.generation = 0
        let value = try WireJSON.decode(JSONValue.self, from: WireJSON.encode(status))
        #expect(value["snapshot"] == .null)
        #expect(value["confirmed_at"] == nil)
        #expect(try Schema(named: "status").faults(in: value) == [])
        #expect(try WireJSON.decode(StatusReport.self, from: WireJSON.encode(status)) == status)
    }

    @Test func answersAreSortedAndPlain() throws {
        let json = String(decoding: try WireJSON.encode(Samples.refusal), as: UTF8.self)
        let golden =
            #"{"error":{"code":"no_such_key","details":["one","two"],"hint":"keys are case-sensitive","#
            + #""message":"there is no key 'db.ulr'","nearest":["db.url"]}}"#
        #expect(json == golden)
        let agent = String(decoding: try WireJSON.encode(Samples.status.agent), as: UTF8.self)
        #expect(
            agent == #"{"config_file":"/etc/agent","host":"web-1","pid":4711,"#
                + #""started_at":"2026-11-22T14:03:07.250Z","uptime_seconds":12.5,"version":"0.1.0"}"#
        )
    }

    @Test func aNewerAgentMaySayMore() throws {
        let json = Array(#"{"status":"ok","reasons":[],"mood":"good"}"#.utf8)
        #expect(try WireJSON.decode(HealthReport.self, from: json).status == .ok)
        #expect(throws: (any Error).self) { try WireJSON.decode(HealthReport.self, from: Array("{}".utf8)) }
    }

    @Test func theLargestNumbersSurvive() throws {
        var flights = Samples.status.flights
        flights.calls = .max
        #expect(try WireJSON.decode(FlightCounts.self, from: WireJSON.encode(flights)).calls == .max)
    }
}
