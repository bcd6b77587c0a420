internal import ConfigDecode
public import ConfigPublish
public import ConfigSnapshot
internal import ConfigTrust
internal import ConfigVerify
public import LockLadder

/// What was in use, put together again from what is stored. Reads files and takes as long as that takes: for a thread that
/// nobody waits for. A document that belongs to several generations is read and decoded once.
struct Archive {
    private let agent: Agent
    private var tables: [GenerationRecord.Layer: LeafTable] = [:]

    init(_ agent: Agent) { self.agent = agent }

    /// The configuration of a generation.
    mutating func snapshot(of generation: UInt64) throws(Agent.Refusal) -> Snapshot {
        let newest = agent.publisher.snapshot
        if newest.generation == generation, generation > 0 { return newest }
        guard let record = agent.store.record(of: generation) else {
            _ = try agent.stored(generation)
            throw Agent.Refusal("unknown_generation", "generation \(generation) is not kept")
        }
        return try snapshot(of: record, as: generation)
    }

    mutating func snapshot(
        of record: GenerationRecord,
        as generation: UInt64? = nil
    ) throws(Agent.Refusal) -> Snapshot {
        if record.layers.contains(where: { tables[$0] == nil }) {
            for (layer, document) in zip(record.layers, try agent.stored(record.generation).documents) {
                tables[layer] = try table(document)
            }
        }
        let layers = record.layers.compactMap { layer in tables[layer].map { (layer, $0) } }
        return Snapshot(
            generation: generation ?? record.generation,
            merged: LayerMerge(layers.map(\.1)),
            digest: record.digest,
            publishedAt: record.publishedAt,
            sources: layers.map { SourceRevision($0.0) }
        )
    }

    private func table(_ document: StoredDocument) throws(Agent.Refusal) -> LeafTable {
        let stage = Stage(ofRemoved: document)
        do throws(StageFailure) {
            let fetched = Stage.fetched(document, validators: document.validators, Trace())
            return try stage.decode(try stage.verifier.verify(fetched, .keeping) { 0 }.document).table
        } catch {
            throw Agent.Refusal(
                "damaged",
                "the document of source '\(document.source)' cannot be read: \(error.message)"
            )
        }
    }
}

extension SourceRevision {
    /// As far as a record knows.
    fileprivate init(_ layer: GenerationRecord.Layer) {
        self.init(
            source: layer.source,
            digest: LeafTable.empty.contentDigest,
            validators: Validators(etag: layer.label),
            fetchedAt: layer.fetchedAt,
            traceID: ""
        )
    }
}

/// Why a key has the value that it has.
public struct Explanation: Sendable {
    /// Its value, as JSON; `nil` where it has none.
    public var value: [UInt8]?
    /// The layers that have given it, with their places in the order, first one first: several only for an object.
    public var owners: [(revision: SourceRevision, layer: Int)]
    /// Since which generation it is so.
    public var since: (generation: UInt64, at: Int64)?
    /// Whether it may have been so for longer: nothing older is kept, or there was no time to look.
    public var mayBeOlder: Bool
    /// What it was before then, as JSON; `nil` where it was not there, or where nobody knows.
    public var before: [UInt8]?
    /// What it would be without the layer that gives it; `nil` where it would not be there.
    public var without: [UInt8]?
}

extension Agent {
    /// The configuration of a generation that is kept.
    public func snapshot(of generation: UInt64) throws(Refusal) -> Snapshot {
        var archive = Archive(self)
        return try archive.snapshot(of: generation)
    }

    /// The configurations of two generations.
    public func snapshots(of first: UInt64, _ second: UInt64) throws(Refusal) -> (Snapshot, Snapshot) {
        var archive = Archive(self)
        return (try archive.snapshot(of: first), try archive.snapshot(of: second))
    }

    /// The generations that can be gone back to, oldest first.
    public var generationRecords: [GenerationRecord] { store.records }

    /// Says of the newest generation why `key` has its value.
    ///
    /// - Parameter deadline: of the look back through the generations.
    public func explain(_ key: String, until deadline: MonotonicTime) throws(Refusal) -> Explanation {
        let newest = publisher.snapshot
        guard newest.generation > 0 else {
            throw Refusal("no_snapshot", "there is no configuration yet", hint: "see why: agentctl status")
        }
        let value = newest.value(at: key).map { Array($0.json) }
        let owners = newest.owners(of: key)
        var explanation = Explanation(
            value: value,
            owners: owners.map { (newest.sources[$0], $0) },
            since: (newest.generation, newest.publishedAt),
            mayBeOlder: true
        )
        if owners.count == 1, let owner = owners.first {
            explanation.without = self.value(of: key, withoutLayer: owner, like: newest.sources[owner], deadline)
        }
        var archive = Archive(self)
        for record in store.records.reversed() where record.generation <= newest.generation {
            guard MonotonicTime.now < deadline else { return explanation }
            let isNewest = record.has(newest.generation)
            let old = isNewest ? value : try archive.snapshot(of: record).value(at: key).map { Array($0.json) }
            if old != value {
                explanation.before = old
                explanation.mayBeOlder = false
                return explanation
            }
            explanation.since = (record.generation, record.publishedAt)
        }
        return explanation
    }

    private func value(
        of key: String,
        withoutLayer owner: Int,
        like revision: SourceRevision,
        _ deadline: MonotonicTime
    ) -> [UInt8]? {
        let found = Mutex("agent.explain", [LeafTable]())
        let box = TablesBox(found)
        let isOver = WakeSignal()
        guard
            withAssembly({ assembly in
                box.tables.withLock { $0 = assembly.tablesInUse.map(\.table) }
                isOver.raise()
            }), isOver.wait(until: deadline)
        else { return nil }
        var tables = box.tables.withLock { $0 }
        guard tables.indices.contains(owner) else { return nil }
        tables.remove(at: owner)
        guard !tables.isEmpty else { return nil }
        let rest = Snapshot(
            generation: 0,
            merged: LayerMerge(tables),
            digest: LeafTable.empty.contentDigest,
            publishedAt: 0,
            sources: tables.indices.map { _ in revision }
        )
        return rest.value(at: key).map { Array($0.json) }
    }

    private final class TablesBox: Sendable {
        let tables: Mutex<[LeafTable]>
        init(_ tables: consuming Mutex<[LeafTable]>) { self.tables = tables }
    }
}
