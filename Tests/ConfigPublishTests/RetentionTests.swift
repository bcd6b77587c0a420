import ConfigSnapshot
import Foundation
import TestSupport
import Testing

@testable import ConfigPublish

@Suite("How far back generations are kept")
struct RetentionTests {
    private func record(_ generation: UInt64, at time: Int64, starts: UInt64? = nil) -> GenerationRecord {
        var record = GenerationRecord(
            generation: generation,
            publishedAt: time,
            digest: LeafTable.empty.contentDigest,
            keys: 0,
            cause: .start,
            layers: []
        )
        if let starts { record.noteStart(starts, keeping: nil) }
        return record
    }

    @Test("By how long they have been in use no more: what was in use for long is what one goes back to")
    func age() throws {
        let directory = try TemporaryDirectory()
        let kept = GenerationStore(directory: directory.path)
        try kept.makeDirectories()
        for (generation, time) in [(1, 100), (2, 1_000), (3, 1_050)] as [(UInt64, Int64)] {
            try kept.add(record(generation, at: time))
        }
        func prune(at now: Int64, keeping pinned: Set<UInt64> = []) -> [UInt64] {
            kept.prune(Retention(count: 20, age: 100), keeping: { pinned }, now: now)
            return kept.records.map(\.generation)
        }
        #expect(prune(at: 1_100) == [1, 2, 3])
        #expect(prune(at: 1_101, keeping: [1]) == [1, 2, 3])
        #expect(prune(at: 1_101) == [2, 3])
        #expect(prune(at: 1_151) == [3])
        #expect(prune(at: 1_000_000) == [3])
        let names = try FileManager.default.contentsOfDirectory(atPath: directory.path("generations"))
        #expect(names == ["3"])
    }

    @Test("Numbers that no agent can have written end none that reads them")
    func absurd() throws {
        #expect(GenerationRecord(parsing: record(7, at: 1_000).bytes) == record(7, at: 1_000))
        #expect(GenerationRecord(parsing: record(.max, at: 1_000).bytes) == nil)
        #expect(GenerationRecord(parsing: record(7, at: 1_000, starts: .max - 1).bytes) == nil)
        #expect(GenerationRecord(parsing: record(7, at: .min).bytes) == nil)
        #expect(GenerationRecord(parsing: record(7, at: .max).bytes) == nil)
        let directory = try TemporaryDirectory()
        try FileManager.default.createDirectory(
            atPath: directory.path("generations"),
            withIntermediateDirectories: true
        )
        let planted = directory.path("generations/\(UInt64.max)")
        try Data(record(.max, at: 1_000).bytes).write(to: URL(filePath: planted))
        #expect(Store(directory: directory.path) { _ in }.open() < .max / 2)
        #expect(!FileManager.default.fileExists(atPath: planted), "set aside")
    }
}
