import AgentAPI
import AgentConfiguration
import ConfigFetch
import ConfigSnapshot
import TestSupport
import Testing

@testable import AgentDoctor

@Suite("Judging what a source answers")
struct SourceJudgingTests {
    private func source(_ more: String = "") throws -> SourceConfiguration {
        let yaml = "sources: {app: {url: 'https://user.example/a.json?token=abracadabra'\(more)}}"
        let configuration = try AgentConfiguration.parse(yaml: Array(yaml.utf8), file: "agent.yaml")
        return try #require(configuration.sources.first)
    }

    private func judge(_ result: FetchResult, timeout: Int = 60_000) throws -> [Check] {
        let checks = SourceChecks.judge(
            try source(),
            SourceProbe.Answer(result: result),
            timeoutMilliseconds: timeout
        )
        for check in checks { #expect(!"\(check)".contains("abracadabra")) }
        return checks
    }

    private func document(_ body: String, type: String? = "application/json") throws -> FetchResult {
        let name = try #require(SourceName("app"))
        return .document(
            FetchedDocument(
                source: name,
                body: Array(body.utf8),
                validators: .none,
                contentType: type,
                trace: Trace()
            )
        )
    }

    @Test("Documents, good and bad")
    func documents() throws {
        #expect(try judge(try document(#"{"a": 1}"#)).map(\.result) == [.ok, .ok])
        let bodies = ["", "{\"a\": ", "[1]", "<html></html>", "\u{FEFF}\n<!DOCTYPE html>"]
        for body in bodies {
            let checks = try judge(try document(body))
            #expect(checks.map(\.id) == ["source.answers", "source.document"], "\(body)")
            #expect(checks.last?.result == .fail, "\(body)")
            #expect(checks.last?.found.contains("HTML") == body.contains("h"), "\(body)")
        }
        #expect(try judge(try document("{}", type: "text/html")).last?.found.contains("HTML") == true)
        #expect(try judge(try document("a: [1, 2]", type: "application/yaml")).last?.result == .ok)
    }

    @Test("Failures, with the agent's own hint where it has one")
    func failures() throws {
        func failed(_ code: String, _ message: String, hint: String? = nil) -> FetchResult {
            .failed(StageFailure(.fetch, code, message, hint: hint), retryAfterNanoseconds: nil)
        }
        #expect(try judge(failed("http_status", "status 404", hint: "check 'url'"))[0].advice == "check 'url'")
        #expect(try judge(failed("tls", "no handshake"))[0].advice?.contains("curl -v") == true)
        #expect(try judge(failed("timeout", "late"))[0].result == .fail)
        #expect(try judge(failed("timeout", "late"), timeout: 100)[0].result == .warn)
        let resolver = try judge(failed("timeout", "Resolving timed out after 3000 milliseconds"))[0]
        #expect(resolver.advice?.contains("resolver") == true)
    }

    // MARK: The probe itself

    private func probe(_ spec: SourceSpec, timeout: Int = 10_000) throws -> SourceProbe.Answer {
        let answers = SourceProbe.ask([spec], timeoutMilliseconds: timeout)
        return try #require(answers[spec.name])
    }

    private func spec(_ kind: SourceKind, _ url: String) throws -> SourceSpec {
        SourceSpec(name: try #require(SourceName("app")), kind: kind, url: url, poll: 1...2)
    }

    private func failure(_ answer: SourceProbe.Answer) -> StageFailure? {
        if case .failed(let failure, _) = answer.result { failure } else { nil }
    }

    @Test("Files: there, too large, missing, and no file at all")
    func files() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write("app.json", "{}")
        var spec = try spec(.file, "file://\(path)")
        guard case .document(let document) = try probe(spec).result else {
            Issue.record("no document")
            return
        }
        #expect(document.body == Array("{}".utf8))
        spec.maxBytes = 1
        #expect(try failure(probe(spec))?.code == "too_large")
        spec.url += ".not"
        #expect(try failure(probe(spec))?.message.contains("No such file") == true)
        spec.url = "file://\(directory.path)"
        #expect(try failure(probe(spec))?.message.contains("not a regular file") == true)
    }

    @Test("Redirects by the agent's rules, and headers for the source's own origin only")
    func redirects() throws {
        let other = try HeldOrigin { .document("{}", to: $0) }
        let origin = try HeldOrigin { [url = other.url("/app.json")] request in
            request.path == "/app.json" ? .http(200, body: Array("{}".utf8)) : .http(302, headers: ["Location": url])
        }
        defer {
            origin.stop()
            other.stop()
        }
        var spec = try spec(.http, origin.url("/moved"))
        spec.headers = [SourceSpec.Header("Authorization", "Bearer abracadabra")]
        #expect(try failure(probe(spec))?.code == "redirect")
        #expect(other.requests.isEmpty)
        spec.maxRedirects = 1
        #expect(try failure(probe(spec)) == nil)
        #expect(origin.requests.last?.headers["authorization"] == "Bearer abracadabra")
        #expect(other.requests.first?.headers["authorization"] == nil)
    }

    @Test("One that never answers ends with the limit")
    func silence() throws {
        let origin = try HeldOrigin { .document("{}", to: $0) }
        defer { origin.stop() }
        origin.hold()
        #expect(try failure(probe(spec(.http, origin.url("/")), timeout: 50))?.code == "timeout")
    }

    @Test("More sources than are asked at once")
    func many() throws {
        let origin = try HeldOrigin { .document("{}", to: $0) }
        defer { origin.stop() }
        let specs = try (0..<150).map { number in
            SourceSpec(
                name: try #require(SourceName("app-\(number)")),
                kind: .http,
                url: origin.url("/\(number)"),
                poll: 1...2
            )
        }
        let answers = SourceProbe.ask(specs, timeoutMilliseconds: 60_000)
        #expect(answers.count == 150)
        #expect(answers.values.allSatisfy { failure($0) == nil })
        origin.hold()
        let late = SourceProbe.ask(specs, timeoutMilliseconds: 50)
        #expect(late.count == 150)
        #expect(late.values.allSatisfy { failure($0)?.code == "timeout" })
    }

    @Test("The origin's clock, with what a cache adds to it")
    func clock() throws {
        let date = "Thu, 01 Jan 2015 00:00:00 GMT"
        let origin = try HeldOrigin { request in
            let age = request.path == "/cached" ? ["Age": "1000000"] : [:]
            return .http(200, headers: age.merging(["Date": date]) { $1 }, body: Array("{}".utf8))
        }
        defer { origin.stop() }
        let plain = try #require(try probe(spec(.http, origin.url("/"))).clockAhead)
        #expect(plain.upperBound < -86_400 * 365)
        let cached = try #require(try probe(spec(.http, origin.url("/cached"))).clockAhead)
        #expect(abs(cached.upperBound - plain.upperBound - 1_000_000) < 120)
    }
}
