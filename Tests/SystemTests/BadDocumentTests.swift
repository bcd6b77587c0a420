internal import Foundation
import TestSupport
import Testing

/// A document that must never take effect.
struct BadDocument: Sendable, CustomTestStringConvertible {
    /// As in the settings of the agents below.
    static let maxBytes = 4 * 1024 * 1024

    var testDescription: String
    /// The codes of the errors that say truly what is wrong with it.
    var codes: Set<String>
    var reply: OriginReply

    init(_ name: String, codes: Set<String>, _ reply: OriginReply) {
        testDescription = name
        self.codes = codes
        self.reply = reply
    }

    private static func json(_ text: String) -> OriginReply {
        .http(200, headers: ["Content-Type": "application/json"], body: Array(text.utf8))
    }

    private static func unending(_ headers: String, chunk: [UInt8], opening: String = "") -> OriginReply {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\(headers)Connection: close\r\n\r\n\(opening)"
        return .endless(head: Array(head.utf8), chunk: chunk)
    }

    private static func large(_ bytes: Int) -> [UInt8] {
        Array(#"{"a": ""#.utf8) + [UInt8](repeating: UInt8(ascii: "x"), count: bytes) + Array("\"}".utf8)
    }

    static func all() throws -> [BadDocument] {
        let filler = [UInt8](repeating: UInt8(ascii: "x"), count: 16384)
        let chunk = Array("4000\r\n".utf8) + filler + Array("\r\n".utf8)
        let packed = try gzipped(Array(#"{"version": 7, "text": "\#((0..<400).map { "n\($0)" }.joined())"}"#.utf8))
        let gzip = ["Content-Type": "application/json", "Content-Encoding": "gzip"]
        let html = Array("<!doctype html><title>Sign in</title>".utf8)
        return [
            BadDocument("invalid JSON", codes: ["syntax"], json(#"{"version": 7,}"#)),
            BadDocument("JSON that ends early", codes: ["syntax"], json(#"{"version": 7"#)),
            BadDocument("a duplicate key", codes: ["duplicate_key"], json(#"{"version": 7, "version": 8}"#)),
            BadDocument(
                "not UTF-8",
                codes: ["not_utf8"],
                .http(200, body: Array(#"{"version": ""#.utf8) + [0xff, 34, 125])
            ),
            BadDocument(
                "truncated gzip",
                codes: ["truncated", "encoding"],
                .http(200, headers: gzip, body: Array(packed.dropLast(packed.count / 2)))
            ),
            BadDocument(
                "a body shorter than its Content-Length",
                codes: ["truncated"],
                .bytes(Array("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"version\": 7}".utf8))
            ),
            BadDocument(
                "a web page",
                codes: ["unsupported", "syntax"],
                .http(200, headers: ["Content-Type": "text/html"], body: html)
            ),
            BadDocument(
                "a web page that says it is JSON",
                codes: ["syntax"],
                .http(200, headers: ["Content-Type": "application/json"], body: html)
            ),
            BadDocument("an empty 200", codes: ["empty"], .http(200, headers: ["Content-Type": "application/json"])),
            BadDocument("too large, and says so", codes: ["too_large"], .http(200, body: large(maxBytes))),
            BadDocument(
                "too large once unpacked",
                codes: ["too_large"],
                .http(200, headers: gzip, body: try gzipped(large(16 * maxBytes)))
            ),
            BadDocument(
                "endless chunks",
                codes: ["too_large"],
                unending("Transfer-Encoding: chunked\r\n", chunk: chunk)
            ),
            BadDocument(
                "endless, without a length",
                codes: ["too_large"],
                unending("", chunk: filler, opening: "{\"a\":\"")
            ),
        ]
    }
}

@Suite("Documents that must not take effect")
struct BadDocumentTests {
    @Test(
        "The last value stays, health names the reason, memory is bounded, recovery comes by itself",
        arguments: try BadDocument.all()
    )
    func isKeptOut(_ bad: BadDocument) throws {
        let origin = try HeldOrigin { .document(document(1), to: $0) }
        defer { origin.stop() }
        let source = SourceSettings(url: origin.url("/app.json"), maxBytes: "4MiB")
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": source]))
        #expect(try agent.value("version").line == "1")
        // One of each request, so that what is paid only once is not counted against the document.
        _ = try agent.refresh()
        _ = try agent.status()
        let idle = try agent.residentMemory()
        try agent.forgetPeakMemory()

        let reply = bad.reply
        origin.answer { _ in reply }
        for _ in 1...3 {
            let outcome = try agent.refresh("app").json()["sources"]["app"]
            #expect(outcome["outcome"].string == "failed")
            #expect(bad.codes.contains(outcome["error"]["code"].string ?? ""), "\(outcome)")
        }
        let peak = try agent.peakMemory()
        let allowance = 2 * BadDocument.maxBytes + 8 * 1024 * 1024
        #expect(peak <= idle + allowance, "\(peak - idle) bytes more than when idle")

        #expect(try agent.value("version").line == "1")
        let status = try agent.status()
        #expect(status["generation"].int == 1)
        #expect(status["health"]["level"].string == "degraded")
        let reason = try #require(status["health"]["reasons"].array.first { $0["source"].string == "app" })
        #expect(reason["message"].string?.isEmpty == false)
        let failure = status["sources"]["app"]
        #expect(failure["consecutive_failures"].int ?? 0 >= 3)
        #expect(bad.codes.contains(failure["last_error"]["code"].string ?? ""), "\(failure)")
        let page = try agent.control("status")
        #expect(page.code == 1)
        #expect(page.standardOutput.contains("app"))

        // Nobody asks for this one: the schedule must bring it, however long its pause has become.
        origin.answer { .document(document(2), to: $0) }
        try agent.waitForValue("version", "2", deadline: .seconds(90))
        try agent.waitForLevel("healthy")
        #expect(try agent.control("status").code == 0)
    }

    @Test("A bad document among good ones: none is lost, none is taken twice")
    func goodBadGood() throws {
        let origin = try HeldOrigin { .document(document(1), to: $0) }
        defer { origin.stop() }
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: origin.url("/app.json"))]))
        for round in 2...6 {
            origin.answer { _ in .http(200, headers: ["ETag": "\"bad\""], body: Array("{".utf8)) }
            #expect(try agent.refresh("app").json()["sources"]["app"]["outcome"].string == "failed")
            #expect(try agent.value("version").line == "\(round - 1)")
            // The ETag of a document that was refused is not remembered.
            origin.answer { .document(document(round), to: $0) }
            let answer = try agent.refresh("app").json()
            #expect(answer["sources"]["app"]["outcome"].string == "published")
            #expect(answer["generation"].int == round)
            #expect(origin.requests.last?.headers["if-none-match"] != "\"bad\"")
        }
    }
}
