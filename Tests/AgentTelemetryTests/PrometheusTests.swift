import Foundation
import Testing

@testable import AgentTelemetry

@Suite("Metrics as text")
struct PrometheusTests {
    private struct Sample: Equatable {
        var name: String
        var labels: [String: String]
        var value: Double
    }

    private struct BadLine: Error {
        var line: String
    }

    /// Reads the text form back, strictly.
    private func parse(_ text: String) throws -> [Sample] {
        // By scalars: a carriage return and a line feed are two of them, but one character.
        try text.unicodeScalars.split(separator: "\n").map(Substring.init).filter { !$0.hasPrefix("#") }.map { line in
            var rest = line
            let name = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == ":" }
            rest = rest.dropFirst(name.count)
            var labels: [String: String] = [:]
            if rest.first == "{" {
                rest = rest.dropFirst()
                while rest.first != "}" {
                    let (label, value) = try parseLabel(&rest)
                    labels[label] = value
                    if rest.first == "," { rest = rest.dropFirst() }
                }
                rest = rest.dropFirst()
            }
            guard rest.first == " ", let value = Double(rest.dropFirst()) else { throw BadLine(line: String(line)) }
            return Sample(name: String(name), labels: labels, value: value)
        }
    }

    private func parseLabel(_ rest: inout Substring) throws -> (String, String) {
        let name = rest.prefix { $0 != "=" }
        rest = rest.dropFirst(name.count)
        guard rest.hasPrefix("=\"") else { throw BadLine(line: String(rest)) }
        var scalars = rest.unicodeScalars.dropFirst(2)
        var value = String.UnicodeScalarView()
        while let scalar = scalars.popFirst(), scalar != "\"" {
            guard scalar == "\\" else {
                value.append(scalar)
                continue
            }
            switch scalars.popFirst() {
            case "n"?: value.append("\n")
            case "\\"?: value.append("\\")
            case "\""?: value.append("\"")
            default: throw BadLine(line: String(rest))
            }
        }
        rest = Substring(scalars)
        return (String(name), String(value))
    }

    @Test func samples() throws {
        var text = PrometheusText()
        text.metric("a_total", .counter, "How many.")
        text.sample("a_total", [], UInt64.max)
        text.sample("a_total", [("x", "1"), ("y", "2")], 1.5)
        text.sample("a_total", [], 3.0)
        text.sample("a_total", [], -2.0)
        text.sample("a_total", [], 1e300)
        text.sample("a_total", [], Double.infinity)
        #expect(
            text.text == """
                # HELP a_total How many.
                # TYPE a_total counter
                a_total 18446744073709551615
                a_total{x="1",y="2"} 1.5
                a_total 3
                a_total -2
                a_total 1e+300
                a_total inf

                """
        )
        #expect(try parse(text.text).count == 6)
    }

    @Test(
        "Whatever a label holds, it can be read back",
        arguments: [
            "", "plain", "a\"b", "a\\b", "a\nb", "a\\nb", "\\", "\"", "é{}=,", "a\r\nb", "\"\u{301}", "\\\u{301}",
            "\u{1F600}",
        ]
    )
    func escaping(value: String) throws {
        var text = PrometheusText()
        text.sample("a", [("first", value), ("second", "x")], UInt64(7))
        text.sample("b", [], UInt64(8))
        let samples = try parse(text.text)
        #expect(samples.count == 2)
        #expect(samples.first?.labels == ["first": value, "second": "x"])
        #expect(samples.first?.value == 7)
    }

    @Test("Buckets of a histogram count all that is below them")
    func histogram() throws {
        var text = PrometheusText()
        text.metric("wait_seconds", .histogram, "Waits.")
        text.histogram(
            "wait_seconds",
            [("lock", "a.b")],
            buckets: [(0.000001, 1), (0.001, 0), (2, 4), (nil, 3)],
            sum: 12.5
        )
        let samples = try parse(text.text)
        #expect(
            samples.map(\.name) == Array(repeating: "wait_seconds_bucket", count: 4) + [
                "wait_seconds_sum", "wait_seconds_count",
            ]
        )
        #expect(samples.map(\.value) == [1, 1, 5, 8, 12.5, 8])
        #expect(samples.prefix(3).compactMap { $0.labels["le"].flatMap(Double.init) } == [0.000001, 0.001, 2])
        #expect(samples[3].labels == ["lock": "a.b", "le": "+Inf"])
        #expect(samples[5].labels == ["lock": "a.b"])
    }

    @Test func emptyHistogram() throws {
        var text = PrometheusText()
        text.histogram("w", [], buckets: [], sum: 0)
        #expect(text.text == "w_bucket{le=\"+Inf\"} 0\nw_sum 0\nw_count 0\n")
    }
}
