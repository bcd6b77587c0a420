import Foundation
import TestSupport
import Testing

/// Answers of stores of keys that are as large as they may be, good or hostile, with the real program. The servers are
/// written from the documentation of etcd's gateway and of Consul's API: no real one says such things.
@Suite("What stores of keys answer, to a whole agent", .serialized)
struct StoreFaultTests {
    private static let maxBytes = 4 << 20

    enum Store: String, CaseIterable, CustomTestStringConvertible {
        case etcd, consul

        var testDescription: String { rawValue }

        func url(_ port: UInt16) -> String { "\(rawValue)+http://127.0.0.1:\(port)/app/" }

        private static func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

        /// What is around the list of keys.
        func answer(_ list: String) -> String {
            switch self {
            case .etcd: #"{"header":{"cluster_id":"1","revision":"7"},"kvs":\#(list),"count":"1"}"#
            case .consul: list
            }
        }

        func pair(_ key: String, _ value: String) -> String {
            switch self {
            case .etcd:
                #"{"key":"\#(Self.base64("/app/\(key)"))","mod_revision":"7","value":"\#(Self.base64(value))"}"#
            case .consul:
                #"{"LockIndex":0,"Key":"app/\#(key)","Flags":0,"Value":"\#(Self.base64(value))","ModifyIndex":7}"#
            }
        }
    }

    /// As large as it may be, with `fill` between the brackets as often as there is room.
    private func filled(_ store: Store, _ open: String, _ fill: String, _ close: String) -> String {
        let room = Self.maxBytes - 1_000
        return store.answer(open + String(repeating: fill, count: room / fill.utf8.count) + close)
    }

    private func faults(_ store: Store) -> [(name: String, code: String?, body: String)] {
        let half = (Self.maxBytes - 1_000) / 2
        let many = (0..<(Self.maxBytes / 120)).map { store.pair("dir\($0 % 100)/key\($0)", "value \($0)") }
        return [
            ("numbers for keys", "bad_response", filled(store, "[1", ",1", "]")),
            ("lists in lists", "bad_response", filled(store, "", "[", "")),
            ("objects in objects", "bad_response", filled(store, "[", "{\"a\":", "]")),
            ("empty objects", "bad_response", filled(store, "[{}", ",{}", "]")),
            (
                "a value that is no base64", "bad_response",
                store.answer(#"[\#(store.pair("a", "b").replacing(#""Yg==""#, with: #""~""#))]"#)
            ),
            (
                "cut off", "bad_response",
                String(filled(store, "[\(store.pair("a", "b"))", "," + store.pair("a", "b"), "]").dropLast(9))
            ),
            (
                "the same key again and again", "key_conflict",
                filled(store, "[\(store.pair("a", "b"))", "," + store.pair("a", "b"), "]")
            ),
            (
                "junk that is passed over", nil,
                store.answer(
                    #"[\#(store.pair("version", "0").dropLast()),"x":[\#(String(repeating: "[],", count: half / 3))0]}]"#
                )
            ),
            ("one long value", nil, store.answer("[\(store.pair("version", String(repeating: "v", count: half))) ]")),
            (
                "as many keys as there is room for", nil,
                store.answer("[\((many + [store.pair("version", "many")]).joined(separator: ","))]")
            ),
        ]
    }

    @Test(
        "Whatever it is, it costs no more than two documents' room, and what is bad changes nothing",
        arguments: Store.allCases
    )
    func costs(_ store: Store) throws {
        @Sendable func answer(_ text: String) -> OriginReply {
            .http(200, headers: ["X-Consul-Index": "7"], body: Array(text.utf8))
        }
        let first = store.answer("[\(store.pair("version", "first"))]")
        let origin = try HeldOrigin { _ in answer(first) }
        defer { origin.stop() }
        let more = ["retry: {base: 1h, max: 1h}", "watch: false"]
        let source = SourceSettings(url: store.url(origin.port), poll: "1h", maxBytes: "\(Self.maxBytes)", more: more)
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": source]))
        let idle = try agent.residentMemory()
        var worst = 0
        for (number, fault) in faults(store).enumerated() {
            let before = try agent.value("version").text
            try agent.forgetPeakMemory()
            let body = Array(fault.body.utf8)
            origin.answer { _ in .http(200, headers: ["X-Consul-Index": "8"], body: body) }
            let outcome = try agent.refresh("app").json()["sources"]["app"]
            #expect(outcome["error"]["code"].string == fault.code, "\(fault.name): \(outcome)")
            if fault.code != nil { #expect(try agent.value("version").text == before, "\(fault.name)") }
            let peak = try agent.peakMemory()
            worst = max(worst, peak - idle)
            // What is in use has its own room: the large ones are in use while the next one comes.
            let allowed = idle + 2 * Self.maxBytes + 8 << 20
            #expect(peak <= allowed, "\(fault.name): \((peak - idle) >> 10) KiB more than when idle")
            let next = store.answer("[\(store.pair("version", "\(number)"))]")
            origin.answer { _ in answer(next) }
            #expect(try agent.refresh("app").json()["sources"]["app"]["outcome"].string == "published", "\(fault.name)")
            #expect(try agent.value("version").line == "\"\(number)\"")
        }
        print("\(store) faults: \(idle >> 10) KiB when idle, at most \(worst >> 10) KiB more")
    }
}
