import ConfigSnapshot
import Crypto
import Foundation
import LockLadder
import TestSupport
import Testing

@testable import ConfigPublish

@Suite("Stored copies")
struct StoreTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private final class Changes: Sendable {
        private let list = Mutex("test.changes", [FileError?]())
        var all: [FileError?] { list.withLock { $0 } }
        func note(_ error: FileError?) { list.withLock { $0.append(error) } }
    }

    private func store(_ path: String? = nil, _ changes: Changes = Changes()) -> Store {
        Store(directory: path ?? directory.path("state")) { changes.note($0) }
    }

    private func document(_ source: String, _ body: String, generation: UInt64 = 1) throws -> StoredDocument {
        let bytes = Array(body.utf8)
        return StoredDocument(
            source: sourceName(source),
            location: "here",
            body: bytes,
            format: .json,
            validators: Validators(etag: "\"\(body.count)\""),
            digest: try #require(ContentDigest(bytes: SHA256.hash(data: bytes))),
            fetchedAt: 7,
            generation: generation
        )
    }

    private func loaded(_ store: Store, _ source: String) throws -> String? {
        try store.load(sourceName(source)).map { String(decoding: $0.body, as: UTF8.self) }
    }

    @Test func keptAndLoaded() throws {
        let changes = Changes()
        let first = store(nil, changes)
        #expect(first.open() == 0)
        #expect(try first.load(sourceName("a")) == nil)
        #expect(first.start())
        first.keep([try document("a", "{}"), try document("b", "{\"b\":1}")], layers: [], generation: 1)
        try waitUntil("both are durable") { first.currentState.durableGeneration == 1 }
        first.keep([try document("a", "{\"a\":2}")], layers: [], generation: 2)
        try waitUntil("the second is durable") { first.currentState.durableGeneration == 2 }
        #expect(first.stop(until: moment(inSeconds: 10)))
        let second = store()
        #expect(second.open() >= 2)
        #expect(try loaded(second, "a") == "{\"a\":2}")
        #expect(try loaded(second, "b") == "{\"b\":1}")
        #expect(try second.load(sourceName("a"))?.validators.etag == "\"7\"")
        #expect(changes.all.isEmpty)
        #expect(first.currentState.failure == nil)
    }

    @Test("Of many hand-overs the newest of each source lasts, and the count follows")
    func latestWins() throws {
        let store = store()
        _ = store.open()
        #expect(store.start())
        for generation in 1...500 {
            let name = generation % 2 == 0 ? "even" : "odd"
            store.keep([try document(name, "\(generation)")], layers: [], generation: UInt64(generation))
            let durable = store.currentState.durableGeneration
            #expect(durable <= UInt64(generation))
        }
        #expect(store.stop(until: moment(inSeconds: 20)))
        #expect(store.currentState.durableGeneration == 500)
        #expect(try loaded(store, "even") == "500")
        #expect(try loaded(store, "odd") == "499")
        let files = try FileManager.default.contentsOfDirectory(atPath: directory.path("state/documents"))
        #expect(files.sorted() == ["even", "odd"])
    }

    @Test func stopWritesWhatWaits() throws {
        let store = store()
        _ = store.open()
        store.keep([try document("a", "1")], layers: [], generation: 3)
        #expect(store.start())
        #expect(store.stop(until: moment(inSeconds: 10)))
        #expect(store.currentState.durableGeneration == 3)
        #expect(store.stop(until: moment(inSeconds: 1)))
    }

    @Test("While the directory cannot be written, the failure is told once; then all is caught up with")
    func failureAndRecovery() throws {
        let file = try directory.write("state", "a file, not a directory")
        let changes = Changes()
        let store = store(file, changes)
        // Nobody knows what was used before: only the time of day is surely beyond it.
        #expect(store.open() > 1_000_000_000_000)
        #expect(store.start())
        store.keep([try document("a", "1")], layers: [], generation: 10)
        store.keep([try document("b", "1")], layers: [], generation: 11)
        store.keep([try document("a", "2")], layers: [], generation: 12)
        try waitUntil("the failure is told") { changes.all.count == 1 }
        let failure = try #require(store.currentState.failure)
        #expect(failure.error.path.hasPrefix(file))
        #expect(store.currentState.durableGeneration == 0)
        unlink(file)
        store.keep([try document("c", "3")], layers: [], generation: 13)
        try waitUntil("it works again") { store.currentState.durableGeneration == 13 }
        try waitUntil("the recovery is told") { changes.all.count == 2 }
        #expect(changes.all.map { $0 == nil } == [false, true])
        #expect(store.currentState.failure == nil)
        #expect((store.currentState.recoveredAt ?? 0) >= failure.since)
        #expect(store.stop(until: moment(inSeconds: 10)))
        #expect(try [loaded(store, "a"), loaded(store, "b"), loaded(store, "c")] == ["2", "1", "3"])
    }

    @Test("It is tried again without anybody asking")
    func retriesByItself() throws {
        let changes = Changes()
        let store = store(nil, changes)
        _ = store.open()
        #expect(store.start())
        // A directory in the place of a document cannot be replaced.
        let obstacle = directory.path("state/documents/a")
        try createDirectory(obstacle)
        store.keep([try document("a", "1")], layers: [], generation: 1)
        try waitUntil("the failure is told") { changes.all.count == 1 }
        #expect(rmdir(obstacle) == 0)
        try waitUntil("it works again") { store.currentState.durableGeneration == 1 }
        #expect(store.stop(until: moment(inSeconds: 10)))
        #expect(try loaded(store, "a") == "1")
    }

    // MARK: Generations

    @Test("No generation is used twice, however the runs end")
    func generations() throws {
        var last: UInt64 = 0
        for count: UInt64 in [0, 1, 0, 5, 600, 1_500, 1, 3_000, 2] {
            let store = store()
            let used = store.open()
            #expect(used >= last)
            #expect(store.start())
            for step in 0..<count { store.keep([], layers: [], generation: used + step + 1) }
            if count > 0 {
                try waitUntil("all is durable") { store.currentState.durableGeneration == used + count }
            }
            last = used + count
            #expect(store.stop(until: moment(inSeconds: 10)))
        }
    }

    @Test("A run that crashed before it wrote anything has used its generations all the same")
    func crashes() {
        let first = store().open()
        let second = store().open()
        // The first run may have published up to the end of its reservation.
        #expect(second > first)
    }

    @Test(arguments: ["", "\n", "x", "12x", "-1\n", "99999999999999999999\n", "１２\n", "\u{0}\u{0}\u{0}"])
    func damagedGenerationFile(text: String) throws {
        let used = store().open()
        try directory.write("state/generation", text)
        #expect(store().open() > used + 1_000)
    }

    @Test("Half a number is not a number")
    func truncatedGenerationFile() throws {
        for _ in 0..<3 { _ = store().open() }
        let whole = readText(directory.path("state/generation"))
        let used = try #require(UInt64(whole.dropLast()))
        for length in 0..<whole.utf8.count {
            try directory.write("state/generation", String(whole.prefix(length)))
            #expect(store().open() >= used, "'\(whole.prefix(length))'")
        }
    }

    @Test func endlessGenerationFile() throws {
        let used = store().open()
        try directory.write("state/generation", String(repeating: "1", count: 1_000))
        #expect(store().open() > used + 1_000)
    }

    @Test("The largest number of all does not end the agent")
    func largestGeneration() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            try directory.write("state/generation", "\(UInt64.max)\n")
            _ = Store(directory: directory.path("state"), onChange: { _ in }).open()
        }
    }

    // MARK: Damage

    @Test func damagedCopy() throws {
        let store = store()
        _ = store.open()
        try directory.write("state/documents/a", "garbage")
        #expect(throws: StoredDocumentFault.notOurs) { try store.load(sourceName("a")) }
        #expect(try store.load(sourceName("a")) == nil)
        #expect(readText(directory.path("state/documents/a.bad")) == "garbage")
    }

    @Test func unreadableCopy() throws {
        let store = store()
        _ = store.open()
        try createDirectory(directory.path("state/documents/a"))
        #expect(throws: StoredDocumentFault.self) { try store.load(sourceName("a")) }
    }

    @Test("Where no generation is reserved any more, the next ones are numbers that no run counts to")
    func overrun() throws {
        let directory = try TemporaryDirectory()
        let store = Store(directory: directory.path("state")) { _ in }
        #expect(store.open() == 0)
        #expect(store.next(after: 0) == 1)
        #expect(store.next(after: 1_023) == 1_024)
        let beyond = store.next(after: 1_024)
        #expect(beyond > 1_600_000_000_000)
        #expect(store.next(after: beyond) == beyond + 1)
        // The run after counts on from what was reserved, and meets none of them.
        let later = Store(directory: directory.path("state")) { _ in }
        #expect(later.open() == 1_024)
        #expect(later.next(after: 1_024) == 1_025)
    }
}
