import ConfigSnapshot
import ConfigTrust
import Testing

@testable import ConfigFetch

extension RevisionMemory.Identity {
    init?(of document: [UInt8], signature: [UInt8]? = nil) {
        guard let digest = ContentDigest(of: document) else { return nil }
        self.init(digest: digest, signature: signature)
    }
}

@Suite("What a source with mirrors has given before the start")
struct RevisionPastTests {
    private let first = "http://first.example/a"
    private let there = "http://mirror.example/a"

    private func bytes(_ number: Int) -> [UInt8] { Array("{\"v\":\(number)}".utf8) }

    private func document(_ number: Int, at place: Int) -> RevisionMemory.Document {
        RevisionMemory.Document(hash: number, changedAt: nil, order: nil, etag: "\"\(number)\"", place: place)
    }

    private func sourceSpec() -> SourceSpec { spec("a", .http, first) { $0.mirrors = [there] } }

    /// After a start on `stored`, where `before` were in use before it.
    private func memory(
        stored: Int,
        before: ClosedRange<Int>,
        saying said: Validators = .none,
        believed: Validators? = nil
    ) throws -> RevisionMemory {
        let source = sourceSpec()
        let digest = try #require(ContentDigest(of: bytes(stored)))
        let known = Set(before.compactMap { ContentDigest(of: bytes($0)) })
        let revision = SourceRevision(
            source: source.name,
            digest: digest,
            validators: believed ?? said,
            fetchedAt: 0,
            traceID: ""
        )
        var memory = RevisionMemory()
        memory.seed(revision, SourcePast(said: said) { known.contains($0) && $1 == nil }, places: source.places)
        return memory
    }

    private func judge(_ memory: inout RevisionMemory, _ number: Int, at place: Int) -> RevisionMemory.Verdict {
        memory.recognise(number) { .init(of: bytes(number)) }
        return memory.judge(document(number, at: place))
    }

    @Test("What was in use before is older, what never was may come")
    func older() throws {
        var memory = try memory(stored: 7, before: 1...7, saying: Validators(etag: "\"7\""))
        #expect(judge(&memory, 6, at: 1) == .older)
        #expect(judge(&memory, 1, at: 1) == .older)
        #expect(judge(&memory, 7, at: 1) == .fine, "what is in use")
        #expect(judge(&memory, 8, at: 1) == .fine)
        // The place that has said last what is in use may take it back; then the mirror follows, and does not lead.
        #expect(judge(&memory, 6, at: 0) == .fine)
        memory.accept(document(6, at: 0))
        #expect(judge(&memory, 6, at: 1) == .fine)
        #expect(judge(&memory, 7, at: 1) == .older)
        #expect(judge(&memory, 5, at: 1) == .older)
    }

    @Test("What was in use at the start is older once something else is, also where it has not come since")
    func neverSeenAgain() throws {
        var memory = try memory(stored: 7, before: 7...7)
        #expect(judge(&memory, 8, at: 0) == .fine)
        memory.accept(document(8, at: 0))
        #expect(judge(&memory, 7, at: 1) == .older)
        // The same without a past, for sources that have none.
        var alone = RevisionMemory()
        let revision = SourceRevision(
            source: sourceSpec().name,
            digest: try #require(ContentDigest(of: bytes(7))),
            validators: Validators(etag: "\"7\""),
            fetchedAt: 0,
            traceID: ""
        )
        alone.seed(revision, places: sourceSpec().places)
        alone.accept(document(8, at: 0))
        #expect(judge(&alone, 7, at: 1) == .older)
        #expect(judge(&alone, 6, at: 1) == .fine)
    }

    @Test("It counts what the place said, also where that is not believed any more, and where it said nothing")
    func said() throws {
        let mirror = spec("a", .http, there).mirrorDigest
        var moved = try memory(stored: 7, before: 1...7, saying: Validators(mirror: mirror), believed: Validators.none)
        #expect(judge(&moved, 6, at: 0) == .older, "the mirror said it last")
        #expect(judge(&moved, 6, at: 1) == .fine)
        var silent = try memory(stored: 7, before: 1...7)
        #expect(judge(&silent, 6, at: 1) == .older)
        #expect(judge(&silent, 6, at: 0) == .fine)
    }

    @Test("Another signature makes another document: of those the signed versions tell the order")
    func signatures() throws {
        var memory = try memory(stored: 7, before: 1...7)
        memory.recognise(6) { .init(of: bytes(6), signature: [1]) }
        #expect(memory.judge(document(6, at: 1)) == .fine)
    }

    @Test("A document is looked up once, and however many come, few are remembered")
    func bounded() throws {
        var memory = try memory(stored: 0, before: 0...500)
        var lookups = 0
        for _ in 0..<3 {
            memory.recognise(1) {
                lookups += 1
                return .init(of: bytes(1))
            }
        }
        #expect(lookups == 1)
        for number in 1...500 { #expect(judge(&memory, number, at: 1) == .older) }
        // Long forgotten, and known again.
        #expect(judge(&memory, 1, at: 1) == .older)
        // What is in use is no older than itself, also when its lookup is long forgotten.
        memory.accept(document(1, at: 0))
        for number in 2...500 { _ = judge(&memory, number, at: 1) }
        #expect(judge(&memory, 1, at: 1) == .fine)
    }
}
