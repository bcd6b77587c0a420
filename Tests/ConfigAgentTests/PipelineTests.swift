import AgentTestSupport
import ConfigFetch
import ConfigSnapshot
import LockLadder
import TestSupport
import Testing

@testable import ConfigAgent

@Suite("The pipeline's thread")
struct PipelineTests {
    private final class Log: Sendable {
        let lines = Mutex("test.lines", [String]())
        let flights = Mutex("test.flights", [Fetcher.Flights.Flight]())

        func add(_ line: String) { lines.withLock { $0.append(line) } }
        var all: [String] { lines.withLock { $0 } }
    }

    @Test("A question is answered between two documents, however many wait")
    func questions() throws {
        let log = Log()
        let group = Fetcher.Flights(
            "test.group",
            begin: { flight, _ in log.flights.withLock { $0.append(flight) } },
            cancel: { _ in },
            isFailure: { _ in false }
        )
        for number in 0..<5 { try group.join(sourceName("s\(number)"), .shared) { _ in } }
        let pipeline = Pipeline()
        for flight in log.flights.withLock({ $0 }) { pipeline.submit(flight, .notModified(Trace()), version: 0) }
        let asked = WakeSignal()
        #expect(
            pipeline.start { flight, _, _, _ in
                log.add(flight.key.text)
                // The question comes while the first document is being worked on.
                if flight.key.text == "s0" { _ = asked.wait(until: nil) }
            }
        )
        try waitUntil("the first is being worked on") { log.all == ["s0"] }
        pipeline.ask { log.add("answer") }
        asked.raise()
        try waitUntil("all is done") { log.all.count == 6 }
        #expect(log.all == ["s0", "answer", "s1", "s2", "s3", "s4"])
        #expect(pipeline.stop(until: MonotonicTime.now.advanced(byNanoseconds: 10 * second)))
    }
}
