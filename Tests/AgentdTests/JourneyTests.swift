import AgentTelemetry
import ConfigAgent
import ConfigPublish
import ConfigSnapshot
import LockLadder
import Testing

@testable import agentd

@Suite("The way of a change to the workers")
struct JourneyTests {
    private func published(_ generation: UInt64, _ trace: Trace?) throws -> AgentEvent {
        let name = try #require(SourceName("app"))
        let digest = LeafTable.empty.contentDigest
        let revision = SourceRevision(source: name, digest: digest, validators: .none, fetchedAt: 1, traceID: "")
        let snapshot = Snapshot(
            generation: generation,
            merged: LayerMerge([.empty]),
            digest: digest,
            publishedAt: 1,
            sources: [revision]
        )
        return .published(snapshot, source: trace == nil ? nil : revision, trace: trace)
    }

    @Test("Its record gives each step's time, and the whole")
    func record() throws {
        let journeys = Journeys(Journal(level: .error, warnWait: .max, reportInterval: .max))
        var trace = Trace()
        trace[.requested] = 1_000_000
        trace[.received] = 3_000_000
        trace[.verified] = 3_004_000
        trace[.decoded] = 3_504_000
        journeys.note(try published(7, trace))
        var journey = try #require(journeys.end(7))
        #expect(journeys.end(7) == nil, "told once")
        journey.publishedAt = MonotonicTime(nanoseconds: 3_510_000)
        let record = EventRecords.arrived(journey, generation: 7, at: MonotonicTime(nanoseconds: 4_510_000))
        let fields = Dictionary(uniqueKeysWithValues: record.fields.map { ($0.name, $0.value) })
        #expect(
            fields == [
                "AGENT_EVENT": "taken_up", "AGENT_SOURCE": "app", "AGENT_GENERATION": "7", "AGENT_TRACE": trace.text,
                "AGENT_FETCH_US": "2000", "AGENT_VERIFY_US": "4", "AGENT_DECODE_US": "500", "AGENT_PUBLISH_US": "6",
                "AGENT_WORKERS_US": "1000", "AGENT_LATENCY_US": "3510",
            ]
        )
        trace[.checked] = 3_003_000
        journeys.note(try published(8, trace))
        let checked = try #require(journeys.end(8))
        let times = EventRecords.arrived(checked, generation: 7, at: MonotonicTime(nanoseconds: 4_510_000)).fields
            .filter { ["AGENT_FETCH_US", "AGENT_CHECK_US", "AGENT_VERIFY_US"].contains($0.name) }
        #expect(times.map(\.value) == ["2000", "3", "1"], "a command has answered before it was verified for good")
        #expect(record.message == "generation 7 is in use by all workers, 3.5 ms after source app was asked")
    }

    @Test("What no source has caused has no way; what never arrives is forgotten")
    func bounds() throws {
        let journeys = Journeys(Journal(level: .error, warnWait: .max, reportInterval: .max))
        journeys.note(try published(1, nil))
        #expect(journeys.end(1) == nil)
        for generation in 2...1_000 { journeys.note(try published(UInt64(generation), Trace())) }
        #expect(journeys.end(2) == nil)
        #expect(journeys.end(1_000) != nil)
    }
}
