import AgentConfiguration
import ConfigAgent
import ConfigFetch
import ConfigPublish
import ConfigSnapshot
import Foundation
import Testing

@testable import AgentTelemetry
@testable import LockLadder
@testable import agentd

@Suite("The message catalog")
struct CatalogTests {
    private struct Entry {
        var id: String
        var text: String

        /// What stands between two `@`.
        var fields: Set<String> {
            Set(
                text.split(separator: "@").map(String.init).filter { part in
                    part.hasPrefix("AGENT_") && part.utf8.allSatisfy { $0 == 0x5F || (0x41...0x5A).contains($0) }
                }
            )
        }
    }

    private func entries() throws -> [Entry] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let file = root.appendingPathComponent("packaging/catalog/agent.catalog")
        let text = try String(contentsOf: file, encoding: .utf8)
        return ("\n" + text).components(separatedBy: "\n-- ").dropFirst().map { part in
            let lines = part.split(separator: "\n", maxSplits: 1)
            return Entry(id: String(lines[0]), text: lines.count > 1 ? String(lines[1]) : "")
        }
    }

    @Test("Every kind of record has its entry, and every entry its kind")
    func ids() throws {
        let ids = try entries().map(\.id)
        #expect(ids.count == Set(ids).count)
        #expect(Set(ids) == Set(MessageID.allCases.map(\.rawValue)))
        #expect(ids.allSatisfy { $0.count == 32 && $0.allSatisfy { "0123456789abcdef".contains($0) } })
        for entry in try entries() {
            #expect(entry.text.contains("Subject: "))
            #expect(entry.text.contains("Defined-By: config-agent"))
        }
    }

    private static func revision(_ name: String) throws -> SourceRevision {
        SourceRevision(
            source: try #require(SourceName(name)),
            digest: LeafTable.empty.contentDigest,
            validators: .none,
            fetchedAt: 1,
            traceID: "t"
        )
    }

    /// A record of each kind that the agent's events and its telemetry give.
    private func records() throws -> [JournalRecord] {
        let revision = try Self.revision("base")
        let snapshot = Snapshot(
            generation: 3,
            merged: LayerMerge([.empty]),
            digest: LeafTable.empty.contentDigest,
            publishedAt: 1,
            sources: [revision]
        )
        var trace = Trace()
        trace[.requested] = 1
        trace[.decoded] = 5_000
        let failure = StageFailure(.fetch, "timeout", "slow", hint: "wait")
        let events: [AgentEvent] = [
            .published(snapshot, source: revision, trace: trace),
            .sourceFailed(revision.source, failure, inARow: 2, generation: 3),
            .sourceRecovered(revision.source, afterFailures: 2), .lastGoodUsed(revision),
            .fetch(.moved(revision.source, from: "https://a/", to: "https://b/", because: "slow")),
            .fetch(.returned(revision.source, from: "https://b/", to: "https://a/")),
            .fetch(.disagreement(revision.source, "https://a/", "https://b/")),
            .fetch(.hostSuspect("https://a", failures: 5, last: "down")), .fetch(.hostRecovered("https://a")),
        ]
        let contention = ContentionRecord(
            lock: "a",
            kind: .mutex,
            mode: .exclusive,
            waiter: .none,
            waiterFunction: "wait()",
            holder: .none,
            waitNanoseconds: 1_000_000,
            holdNanoseconds: 1,
            wakeNanoseconds: 1,
            takenMeanwhile: 2,
            waiters: 1,
            threadID: 1,
            contended: 3,
            endedAt: .now
        )
        var stuckFigures = LockStatistics()
        stuckFigures.waiting = 1
        let stuck = StuckWaits.Lock(
            id: 1,
            name: "a",
            kind: .mutex,
            figures: stuckFigures
        )
        var reporter = LockReporter()
        let lock = ContendedLock("test.catalog")
        contend(lock)
        let reports = reporter.report(generation: 3).prefix(1)
        return events.map(EventRecords.record)
            + [
                ContentionText.record(contention, generation: 3, suppressed: 0),
                ContentionText.stuck(stuck, generation: 3, suppressed: 0),
                EventRecords.configurationRefused(
                    ConfigurationError(file: "f", line: 1, column: 1, key: "k", what: "w", advice: nil),
                    event: "reload_refused"
                ),
                EventRecords.reloaded(ConfigurationDiff(from: .init(), to: .init()), onlySecrets: false, generation: 3),
            ] + reports
    }

    @Test("What an entry speaks of is in the record")
    func fields() throws {
        let entries = try entries()
        let records = try records()
        #expect(records.count == 14)
        for record in records {
            let id = try #require(record.id)
            let entry = try #require(entries.first { $0.id == id.rawValue })
            let missing = entry.fields.subtracting(record.fields.map(\.name))
            #expect(missing.isEmpty, "\(id) has no \(missing.sorted())")
        }
    }

    @Test("What the stored copies gave is published without a source: the entry must not need one")
    func publishedFromStoredCopies() throws {
        let revision = try Self.revision("base")
        let snapshot = Snapshot(
            generation: 3,
            merged: LayerMerge([.empty]),
            digest: LeafTable.empty.contentDigest,
            publishedAt: 1,
            sources: [revision]
        )
        let record = EventRecords.record(.published(snapshot, source: nil, trace: nil))
        let id = try #require(record.id)
        let entry = try #require(try entries().first { $0.id == id.rawValue })
        let missing = entry.fields.subtracting(record.fields.map(\.name))
        #expect(missing.isEmpty, "no \(missing.sorted())")
    }
}
