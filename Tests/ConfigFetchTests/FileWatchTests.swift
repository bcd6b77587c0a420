import ConfigSnapshot
import Foundation
import TestSupport
import Testing

@testable import ConfigFetch

@Suite("Files that change")
struct FileWatchTests {
    private func harness(_ path: String) throws -> Harness {
        let harness = try Harness([
            spec("a", .file, "file://\(path)") {
                // A file that is put away and back is missing for a moment.
                $0.retryBase = second / 20
                $0.retryMax = second / 10
            }
        ])
        try harness.start()
        return harness
    }

    private func body(_ harness: Harness) -> String? {
        harness.received.last { $0.result.document != nil }?.result.document.map {
            String(decoding: $0.body, as: UTF8.self)
        }
    }

    private func expect(_ text: String, _ harness: Harness) throws {
        try waitUntil("\(text) to be read") { body(harness) == text }
    }

    @Test("Put in place by a rename")
    func rename() throws {
        let directory = try TemporaryDirectory()
        let harness = try harness(try directory.write("a.json", "{}"))
        for value in 1...5 {
            try directory.write("a.json", "{\"v\":\(value)}")
            try expect("{\"v\":\(value)}", harness)
        }
    }

    @Test("Many changes in a row: the last one is read, whatever poll it meets")
    func storm() throws {
        let directory = try TemporaryDirectory()
        let harness = try harness(try directory.write("a.json", "{}"))
        for round in 1...5 {
            for value in 1...60 { try directory.write("a.json", "{\"v\":\(round * 100 + value)}") }
            try expect("{\"v\":\(round * 100 + 60)}", harness)
        }
        // A few a second, and not one for each change.
        #expect((harness.facts("a")?.requests ?? 0) < 100)
    }

    @Test("Written in place: seen once it is closed")
    func inPlace() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write("a.json", "{}")
        let harness = try harness(path)
        let file = try #require(fopen(path, "w"))
        fputs(#"{"v":"#, file)
        fflush(file)
        fputs("1}", file)
        fclose(file)
        try expect(#"{"v":1}"#, harness)
    }

    @Test("A link to a directory that is turned to another one, as Kubernetes does with ConfigMaps")
    func linkSwap() throws {
        let directory = try TemporaryDirectory()
        try directory.write("..1/a.json", #"{"v":1}"#)
        try directory.write("..2/a.json", #"{"v":2}"#)
        #expect(symlink("..1", directory.path("..data")) == 0)
        #expect(symlink("..data/a.json", directory.path("a.json")) == 0)
        let harness = try harness(directory.path("a.json"))
        try expect(#"{"v":1}"#, harness)
        for target in ["..2", "..1", "..2"] {
            #expect(symlink(target, directory.path("..new")) == 0)
            #expect(Foundation.rename(directory.path("..new"), directory.path("..data")) == 0)
            try expect(target == "..1" ? #"{"v":1}"# : #"{"v":2}"#, harness)
        }
        // And a change behind the links.
        try directory.write("..2/a.json", #"{"v":3}"#)
        try expect(#"{"v":3}"#, harness)
    }

    @Test("Not there yet, nor its directory")
    func appears() throws {
        let directory = try TemporaryDirectory()
        let harness = try Harness([
            spec("a", .file, "file://\(directory.path("x/y/a.json"))")
        ])
        try harness.start()
        #expect(harness.received.first?.result.failure != nil)
        try directory.write("x/y/a.json", "{}")
        try expect("{}", harness)
    }

    @Test("Its directory is moved away, and another one put there")
    func directorySwap() throws {
        let directory = try TemporaryDirectory()
        try directory.write("in/a.json", #"{"v":1}"#)
        try directory.write("next/a.json", #"{"v":2}"#)
        let harness = try harness(directory.path("in/a.json"))
        #expect(Foundation.rename(directory.path("in"), directory.path("old")) == 0)
        #expect(Foundation.rename(directory.path("next"), directory.path("in")) == 0)
        try expect(#"{"v":2}"#, harness)
        try directory.write("in/a.json", #"{"v":3}"#)
        try expect(#"{"v":3}"#, harness)
    }

    @Test("Whoever does not want it is only polled; other files in the directory are nobody's business")
    func quiet() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write("a.json", "{}")
        let other = try directory.write("b.json", "{}")
        let harness = try Harness([
            spec("a", .file, "file://\(path)"), spec("b", .file, "file://\(other)") { $0.isWatched = false },
        ])
        try harness.start()
        #expect(harness.facts("b")?.watch == nil)
        try directory.write("b.json", #"{"v":1}"#)
        for index in 0..<50 { try directory.write("c\(index).json", "{}") }
        try directory.write("a.json", #"{"v":1}"#)
        try waitUntil("the change") {
            harness.received.contains { $0.result.document?.body == Array(#"{"v":1}"#.utf8) }
        }
        #expect(harness.facts("a")?.watch?.changes == 1)
        #expect(harness.facts("b")?.requests == 1)
    }
}
