import ConfigSnapshot
import LockLadder
import Testing

@testable import ConfigPublish

@Suite("The newest snapshot")
struct PublisherTests {
    @Test func nothingYet() {
        let publisher = Publisher()
        #expect(publisher.generation == 0)
        #expect(publisher.digest == LeafTable.empty.contentDigest)
    }

    @Test func publish() throws {
        let publisher = Publisher()
        let seen = Mutex("test.seen", [UInt64]())
        publisher.observe { generation in seen.withLock { $0.append(generation) } }
        let first = try snapshot(1, #"{"a":1}"#)
        publisher.publish(first)
        publisher.observe { generation in seen.withLock { $0.append(generation + 100) } }
        publisher.publish(try snapshot(2, #"{"a":2}"#))
        #expect(seen.withLock { $0 } == [1, 2, 102])
        #expect(publisher.generation == 2)
        #expect(publisher.digest != first.digest)
        var reader = publisher.cell.makeReader()
        #expect(reader.withSnapshot { $0.value(at: "a").map { Array($0.json) } } == Array("2".utf8))
    }

    @Test("An observer finds the new snapshot in place")
    func order() throws {
        let publisher = Publisher()
        let seen = Mutex("test.seen", [UInt64]())
        publisher.observe { _ in
            let now = publisher.generation
            seen.withLock { $0.append(now) }
        }
        for generation: UInt64 in 1...20 { publisher.publish(try snapshot(generation)) }
        #expect(seen.withLock { $0 } == Array(1...20))
    }
}

@Suite("The digest of content")
struct ContentDigestTests {
    @Test(
        "Documents that mean the same have the same digest",
        arguments: [
            ("{\n  \"b\" : { \"c\" : [ 1, 2 ] },\n \"a\":\"x\" }", DocumentFormat.json),
            (#"{"a":"\u0078","b":{"c":[1,2]}}"#, .json),
            ("b:\n  c: [1, 2]\na: x\n", .yaml),
            ("a: \"x\"\nb: {c: [1,   2]}\n", .yaml),
        ]
    )
    func equal(text: String, format: DocumentFormat) throws {
        #expect(try table(text, format).contentDigest == table(#"{"a":"x","b":{"c":[1,2]}}"#).contentDigest)
    }

    @Test("Documents that mean something else do not")
    func different() throws {
        let documents = [
            "{}", #"{"a":{}}"#, #"{"a":null}"#, #"{"a":""}"#, #"{"a":"b"}"#, #"{"ab":""}"#, #"{"a":1,"b":2}"#,
            #"{"a":12,"b":2}"#, #"{"a":1}"#, #"{"a":"1"}"#, #"{"a":[1]}"#, #"{"a":[1,2]}"#, #"{"a":[12]}"#,
            #"{"a":{"b":1}}"#, #"{"a.b":1}"#, #"{"A":1}"#, #"{"a":true}"#, #"{"b":1}"#,
        ]
        #expect(Set(try documents.map { try table($0).contentDigest }).count == documents.count)
    }
}
