import AgentctlKit
import Testing

@Suite("agentctl watch")
struct WatchTextTests {
    private func events(_ text: String, piece: Int = .max) -> [ServerEvent] {
        var stream = EventStream()
        var rest = Array(text.utf8)[...]
        var events: [ServerEvent] = []
        while !rest.isEmpty {
            events += stream.take(Array(rest.prefix(piece)))
            rest = rest.dropFirst(piece)
        }
        return events
    }

    @Test(arguments: [1, 2, 3, 7, 1_000], ["\n", "\r\n", "\r"])
    func takenApartWhereverItIsCut(piece: Int, end: String) {
        let text =
            ": hello\nid: 7\nevent: change\ndata: {\"a\":\ndata:1}\n\nid: 8\n\n: still here\ndata: é\n\ndata: lost"
        let wanted = [
            ServerEvent(name: "change", data: "{\"a\":\n1}", id: "7"),
            ServerEvent(name: "message", data: "é", id: "8"),
        ]
        let sent = text.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: end)
        #expect(events(sent, piece: piece) == wanted)
    }

    @Test func goesOnFromAnEarlierStream() {
        var stream = EventStream(after: "5")
        #expect(stream.take(Array("data: x\n\n".utf8)).first?.id == "5")
        _ = stream.take(Array("id: 6\n\n".utf8))
        #expect(stream.lastID == "6")
    }

    private func event(_ data: String, _ name: String = "change") -> ServerEvent {
        ServerEvent(name: name, data: data, id: "3")
    }

    @Test("A value is shown as it was sent, to the last digit")
    func value() throws {
        #expect(try WatchText.value(event(#"{"generation":3,"exists":true,"value":1.10}"#)) == "1.10\n")
        let nested = #"{"a":"x,\"}:","b":[1,{"c":2}]}"#
        #expect(try WatchText.value(event("{\"generation\":3,\"exists\":true,\"value\":\(nested)}")) == nested + "\n")
        #expect(try WatchText.value(event(#"{"generation":3,"exists":false}"#)) == "null\n")
    }

    @Test func changes() throws {
        let data = #"{"generation":3,"set":{"a.b":1.0,"\"x.y\"":"s,t","e":{}},"removed":["c","d"]}"#
        let lines = "  a.b = 1.0\n  \"x.y\" = \"s,t\"\n  e = {}\n  c removed\n  d removed\n"
        #expect(try WatchText.changes(event(data)) == "generation 3, changes:\n" + lines)
        #expect(try WatchText.changes(event(data, "reset")) == "generation 3, all keys:\n" + lines)
        let none = #"{"generation":4,"set":{},"removed":[]}"#
        #expect(try WatchText.changes(event(none)) == "generation 4, changes:\n")
    }

    @Test(arguments: ["", "[]", "{", "{\"set\":{}}", "{\"generation\":1,\"set\":3,\"removed\":[]}", "{3:4}"])
    func nonsense(data: String) {
        #expect(throws: Problem.self) { try WatchText.changes(event(data)) }
    }
}
