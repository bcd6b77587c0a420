import ConfigSnapshot
import Testing

@testable import ConfigDecode

@Suite("Limits of a document")
struct LimitTests {
    @Test func keys() throws {
        let limits = DocumentDecoder.Limits(maxKeys: 3)
        let three = Array(#"{"a":1,"b":[1,2,3,4,5,{"x":1,"y":2}],"c":{"d":{}}}"#.utf8)
        #expect(try leaves(three, .json, limits: limits).count == 3)
        let four = Array(#"{"a":1,"b":2,"c":3,"d":4}"#.utf8)
        let error = try #require(try refusal(four, .json, limits: limits))
        #expect(error.code == .tooLarge)
        #expect(error.position == Position(line: 1, column: 24))
        #expect(error.message.contains("more than 3 keys"))
    }

    @Test func keyLength() throws {
        func document(_ length: Int) -> [UInt8] {
            // Two names and a dot.
            Array("{\"\(String(repeating: "k", count: length - 2))\":{\"x\":1}}".utf8)
        }
        #expect(try refusal(document(4096), .json) == nil)
        let error = try #require(try refusal(document(4097), .json))
        #expect(error.code == .tooLarge)
        #expect(error.position == Position(line: 1, column: 4101))
        // Inside an array a name is text like any other.
        let inArray = Array("{\"a\":[{\"\(String(repeating: "k", count: 5000))\":1}]}".utf8)
        #expect(try refusal(inArray, .json) == nil)
    }

    /// A long name above many short ones: half a megabyte that would become hundreds.
    @Test func repeatedPrefix() throws {
        let members = (0..<60_000).map { "\"\($0)\":1" }.joined(separator: ",")
        let text = "{\"\(String(repeating: "k", count: 4000))\":{\(members)}}"
        let error = try #require(try refusal(Array(text.utf8), .json))
        #expect(error.code == .tooLarge)
        #expect(error.message.contains("long names"))
    }

    @Test func sizeOfTheTable() {
        let small = TableBuilder.Limits(bodySize: 100, maxKeys: 5)
        #expect(small.maxBytes == 400 + 64 * 1024 * 1024)
        #expect(small.maxKeys == 5)
        #expect(TableBuilder.Limits(bodySize: 2 << 30, maxKeys: 5).maxBytes == Int(UInt32.max))
    }

    /// A document is checked to its end before anything is built from it.
    @Test func syntaxComesFirst() throws {
        let limits = DocumentDecoder.Limits(maxKeys: 1)
        #expect(try refusal(Array(#"{"a":1,"a":2,}"#.utf8), .json, limits: limits)?.code == .syntax)
        #expect(try refusal(Array("[1,".utf8), .json)?.code == .syntax)
        #expect(try refusal(Array("a: 1\na: 2\nb: [".utf8), .yaml, limits: limits)?.code == .syntax)
    }

    /// Names leave the table with the object they stood in, in whatever order objects nest.
    @Test func openNames() {
        var random = SystemRandomNumberGenerator()
        var names = OpenNames()
        var reference: [Set<[UInt8]>] = []
        for _ in 0..<20_000 {
            let roll = Int.random(in: 0..<10, using: &random)
            if reference.isEmpty || (roll == 0 && reference.count < 30) {
                names.beginObject()
                reference.append([])
            } else if roll == 1 {
                names.endObject()
                reference.removeLast()
            } else {
                let name = Array(String(Int.random(in: 0..<200, using: &random)).utf8)
                let isNew = reference[reference.count - 1].insert(name).inserted
                #expect(names.insert(name[...]) == isNew)
            }
        }
    }

    /// The first pass hears everything and keeps nothing.
    @Test func scanAcceptsWhatBuildingAccepts() throws {
        for row in JSONAcceptTests.rows {
            var scan = ScanSink()
            try JSONParser.parse(Array(row.text.utf8), maxDepth: 64, into: &scan)
        }
        #expect(MemoryLayout<ScanSink>.size == 0)
    }
}
