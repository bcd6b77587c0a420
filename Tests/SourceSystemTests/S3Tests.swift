import AgentTestSupport
import ConfigAgent
import ConfigFetch
import ConfigSnapshot
import LockLadder
import TestSupport
import Testing

@Suite("S3 with checked signatures as a source", .serialized)
struct S3Tests {
    private func object(
        _ url: String,
        _ server: SeaweedS3,
        secret: String = SeaweedS3.secret
    ) -> AgentPlan.Source {
        source("o", .s3, url: url) {
            $0.endpoint = server.endpoint
            $0.region = "us-east-1"
            $0.auth.awsKeys = .init(id: SeaweedS3.keyID, secret: secret)
        }
    }

    private func poll(_ agent: RunningAgent) throws -> String {
        let before = agent.agent.sourceFacts[sourceName("o")]?.requests ?? 0
        let box = Outcome()
        _ = try agent.agent.fetch(sourceName("o"), .shared) { box.take($0) }
        let outcome = try waitFor("the poll") { box.outcome }
        #expect(agent.agent.sourceFacts[sourceName("o")]?.requests == before + 1)
        return outcome.name
    }

    @Test("An object is fetched, confirmed by its ETag, and fetched again when it has changed")
    func object() throws {
        let server = try SeaweedS3(bucket: "configs")
        #expect(try server.put(#"{"v":1}"#, to: "/configs/app/a%20b%3Dc.json") == 200)
        let directory = try TemporaryDirectory()
        let agent = try RunningAgent([object("s3://configs/app/a%20b=c.json", server)], in: directory)
        try agent.start()
        #expect(agent.value("v") == "1")
        #expect(try poll(agent) == "not modified")
        #expect(try server.put(#"{"v":2}"#, to: "/configs/app/a%20b%3Dc.json") == 200)
        #expect(try poll(agent) == "published")
        #expect(agent.value("v") == "2")

        let wrong = try RunningAgent(
            [object("s3://configs/app/a%20b=c.json", server, secret: "planted-wrong")],
            in: try TemporaryDirectory()
        )
        try wrong.start()
        let failure = try #require(wrong.agent.sourceFacts[sourceName("o")]?.lastFailure?.failure)
        #expect(failure.message == "S3 refuses (HTTP status 403): SignatureDoesNotMatch")
        #expect(wrong.generation == 0)

        let missing = try RunningAgent([object("s3://configs/none", server)], in: try TemporaryDirectory())
        try missing.start()
        #expect(missing.agent.sourceFacts[sourceName("o")]?.lastFailure?.failure.message.contains("404") == true)
    }
}

/// The outcome of a fetch that nobody waits for.
final class Outcome: Sendable {
    private let state = Mutex<FlightOutcome?>("test.outcome", nil)

    var outcome: FlightOutcome? { state.withLock { $0 } }

    func take(_ outcome: FlightOutcome) { state.withLock { $0 = outcome } }
}
