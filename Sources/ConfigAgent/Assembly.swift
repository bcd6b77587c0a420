internal import ConfigDecode
internal import ConfigFetch
internal import ConfigPublish
internal import ConfigSnapshot
internal import ConfigVerify
internal import LockLadder

/// What the pipeline builds snapshots from: the document in use of each source, and the order of the stages.
///
/// Belongs to the pipeline's thread (before that thread starts, to the one that starts it).
final class Assembly {
    private struct InUse {
        var table: LeafTable
        var revision: SourceRevision
        /// Where it came from: at another place its validators mean something else.
        var location: String
    }

    private struct Stage {
        let version: UInt64
        let location: String
        let verifier: Verifier
        let decoder: DocumentDecoder

        init(_ source: AgentPlan.Source) {
            version = source.fetch.version
            location = StoredDocument.location(url: source.fetch.url, unixSocket: source.fetch.unixSocket)
            verifier = Verifier(maxBytes: source.fetch.maxBytes)
            decoder = DocumentDecoder(
                limits: source.limits,
                format: source.format,
                urlPath: String(source.fetch.url.prefix { $0 != "?" && $0 != "#" })
            )
        }

        /// For a document that was accepted once, of a source that is no longer configured.
        init(ofRemoved stored: StoredDocument) {
            version = 0
            location = stored.location
            verifier = Verifier(maxBytes: 1 << 30)
            decoder = DocumentDecoder(
                limits: DocumentDecoder.Limits(maxDepth: 512, maxKeys: 10_000_000),
                format: stored.format,
                urlPath: ""
            )
        }
    }

    private var plan: AgentPlan
    private var stages: [SourceName: Stage]
    /// Whether the layers in force are still those of an earlier plan.
    private var layersInForce: [SourceName]?
    private let publisher: Publisher
    private let store: Store
    private let events: @Sendable (AgentEvent) -> Void
    private var inUse: [SourceName: InUse] = [:]
    private var generation: UInt64
    private var current: Snapshot?
    /// The layers of `current`.
    private var currentLayers: [SourceName] = []
    /// Sources whose documents wait for those of other required sources.
    private var held: Set<SourceName> = []
    private var failures: [SourceName: (count: Int, code: String)] = [:]

    init(
        plan: AgentPlan,
        publisher: Publisher,
        store: Store,
        lastGeneration: UInt64,
        events: @escaping @Sendable (AgentEvent) -> Void
    ) {
        self.plan = plan
        self.publisher = publisher
        self.store = store
        self.events = events
        generation = lastGeneration
        stages = Self.stages(of: plan)
    }

    private static func stages(of plan: AgentPlan) -> [SourceName: Stage] {
        Dictionary(uniqueKeysWithValues: plan.sources.map { ($0.fetch.name, Stage($0)) })
    }

    private var now: UInt64 { MonotonicTime.now.nanoseconds }

    // MARK: At the start

    /// Takes the stored copies into use and publishes them, as far as every required source has one.
    ///
    /// - Returns: the revisions in use.
    func restore(progress: () -> Void = {}) -> [SourceName: SourceRevision] {
        for source in plan.sources {
            progress()
            if let stored = load(source.fetch.name) { restore(stored) }
        }
        if publishIfComplete(cause: nil, trace: nil) || restoreLayersOfBefore() {
            store.noteDurable(generation)
        } else {
            held = Set(inUse.keys)
        }
        return inUse.filter { stages[$0.key] != nil }.mapValues(\.revision)
    }

    /// A required source has nothing stored. The layers that were in force before the configuration was changed may
    /// all be there: until the new ones are complete, they stay in force.
    private func restoreLayersOfBefore() -> Bool {
        guard let names = store.loadLayers() else { return false }
        for name in names where stages[name] == nil {
            if let stored = load(name) { restore(stored, Stage(ofRemoved: stored)) }
        }
        guard names.allSatisfy({ inUse[$0] != nil }) else {
            inUse = inUse.filter { stages[$0.key] != nil }
            return false
        }
        layersInForce = names
        return publishIfComplete(cause: nil, trace: nil)
    }

    private func load(_ name: SourceName) -> StoredDocument? {
        do throws(StoredDocumentFault) {
            return try store.load(name)
        } catch {
            events(.storedCopyUnusable(name, error))
            return nil
        }
    }

    /// A stored copy goes through the same stages as a fetched document: the rules may have changed since.
    private func restore(_ stored: StoredDocument) {
        if let stage = stages[stored.source] { restore(stored, stage) }
    }

    private func restore(_ stored: StoredDocument, _ stage: Stage) {
        // Another place gives the same ETag another meaning.
        let validators = stored.location == stage.location ? stored.validators : .none
        var trace = Trace()
        trace[.requested] = now
        trace[.received] = now
        let document = FetchedDocument(
            source: stored.source,
            body: stored.body,
            validators: validators,
            contentType: stored.format == .yaml ? "application/yaml" : "application/json",
            trace: trace
        )
        do throws(StageFailure) {
            let decoded = try decode(document, stage)
            let revision = SourceRevision(
                source: stored.source,
                digest: decoded.digest,
                validators: validators,
                fetchedAt: stored.fetchedAt,
                traceID: trace.text
            )
            inUse[stored.source] = InUse(table: decoded.table, revision: revision, location: stored.location)
            events(.lastGoodUsed(revision))
        } catch {
            events(.sourceFailed(stored.source, error, inARow: 1, generation: generation))
        }
    }

    // MARK: A new plan

    /// Takes over `next`; see ``Agent/adopt(_:until:)``.
    ///
    /// - Parameter stored: stored copies of sources that are new.
    /// - Returns: the revisions in use, and which of the new sources are served from their stored copies.
    func adopt(
        _ next: AgentPlan,
        stored: [StoredDocument]
    ) -> (inUse: [SourceName: SourceRevision], restored: Set<SourceName>) {
        if current != nil, layersInForce == nil { layersInForce = plan.sources.map(\.fetch.name) }
        let old = stages
        plan = next
        stages = Self.stages(of: next)
        for (name, stage) in stages where inUse[name]?.location != stage.location {
            // Another place gives the same ETag another meaning.
            if let revision = inUse[name]?.revision { inUse[name]?.revision = revision.withoutValidators }
        }
        failures = failures.filter { stages[$0.key]?.version == old[$0.key]?.version }
        held = held.filter { stages[$0] != nil }
        // What an earlier plan has left, and the layers in force do not need.
        inUse = inUse.filter { stages[$0.key] != nil || layersInForce?.contains($0.key) == true }
        var restored: Set<SourceName> = []
        for document in stored where inUse[document.source] == nil {
            restore(document)
            if inUse[document.source] != nil { restored.insert(document.source) }
        }
        if publishIfComplete(cause: nil, trace: nil) {
            store.keep([], layers: currentLayers, generation: generation)
        }
        return (inUse.filter { stages[$0.key] != nil }.mapValues(\.revision), restored)
    }

    // MARK: Documents

    /// Takes one result through the stages.
    func process(_ source: SourceName, _ result: FetchResult, version: UInt64) -> FlightOutcome {
        guard let stage = stages[source], stage.version == version else { return superseded(source, result) }
        let kind: FlightOutcome.Kind
        var trace: Trace?
        switch result {
        case .failed(let failure, let retryAfter):
            kind = .failed(failure, retryAfterNanoseconds: retryAfter)
        case .notModified:
            kind = .notModified
        case .document(let document):
            trace = document.trace
            do throws(StageFailure) {
                (kind, trace) = try accept(document, stage)
            } catch {
                kind = .failed(error, retryAfterNanoseconds: nil)
            }
        }
        note(source, kind)
        var released: [SourceName] = []
        if case .published = kind {
            released = held.sorted()
            held = []
        }
        return FlightOutcome(
            kind: kind,
            generation: current?.generation ?? 0,
            revision: inUse[source]?.revision,
            trace: trace,
            released: released
        )
    }

    /// A result under an earlier plan: nobody knows whether it would still be right.
    private func superseded(_ source: SourceName, _ result: FetchResult) -> FlightOutcome {
        let failure =
            if case .failed(let failure, _) = result, stages[source] == nil {
                failure
            } else {
                StageFailure(
                    .fetch,
                    FlightOutcome.supersededCode,
                    "the agent's configuration was reloaded meanwhile",
                    hint: "ask again"
                )
            }
        return FlightOutcome(
            kind: .failed(failure, retryAfterNanoseconds: nil),
            generation: current?.generation ?? 0,
            revision: inUse[source]?.revision,
            trace: nil
        )
    }

    private func accept(
        _ fetched: FetchedDocument,
        _ stage: Stage
    ) throws(StageFailure) -> (FlightOutcome.Kind, Trace) {
        let name = fetched.source
        let verified = try verify(fetched, stage)
        let fetchedAt = WallClock.nowNanoseconds
        if var same = inUse[name], same.revision.digest == verified.digest {
            confirm(&same, verified, stage, fetchedAt: fetchedAt)
            return (current == nil ? .held : .unchanged, verified.trace)
        }
        let decoded = try decode(verified, stage)
        let revision = SourceRevision(
            source: name,
            digest: decoded.digest,
            validators: decoded.validators,
            fetchedAt: fetchedAt,
            traceID: decoded.trace.text
        )
        inUse[name] = InUse(table: decoded.table, revision: revision, location: stage.location)
        let isNew = publishIfComplete(cause: revision, trace: decoded.trace)
        keep(decoded, stage, fetchedAt: fetchedAt)
        guard isNew else {
            // Other required sources are still missing, or the same content came in other bytes.
            if current == nil { held.insert(name) }
            return (current == nil ? .held : .unchanged, decoded.trace)
        }
        held.remove(name)
        var trace = decoded.trace
        trace[.published] = now
        return (.published, trace)
    }

    /// The bytes in use came again, perhaps under a new ETag.
    private func confirm(_ same: inout InUse, _ verified: VerifiedDocument, _ stage: Stage, fetchedAt: Int64) {
        guard same.revision.validators != verified.validators || same.location != stage.location else { return }
        same.location = stage.location
        same.revision = SourceRevision(
            source: verified.source,
            digest: verified.digest,
            validators: verified.validators,
            fetchedAt: fetchedAt,
            traceID: verified.trace.text
        )
        inUse[verified.source] = same
    }

    private func verify(
        _ document: FetchedDocument,
        _ stage: Stage
    ) throws(StageFailure) -> VerifiedDocument {
        try stage.verifier.verify(document, now: { self.now })
    }

    private func decode(
        _ document: VerifiedDocument,
        _ stage: Stage
    ) throws(StageFailure) -> DecodedDocument {
        let bytes = document.body.count
        guard MemoryRoom.has(MemoryRoom.forDecoding(bytes)) else { throw .noMemory(.decode, bytes: bytes) }
        do throws(DecodeError) {
            return try stage.decoder.decode(document, now: { self.now })
        } catch {
            throw StageFailure(
                .decode,
                error.code.rawValue,
                error.description,
                hint: error.code == .noMemory
                    ? StageFailure.noMemoryHint
                    : "mend the document at its source; what was in use before stays in use"
            )
        }
    }

    private func decode(
        _ document: FetchedDocument,
        _ stage: Stage
    ) throws(StageFailure) -> DecodedDocument {
        try decode(try verify(document, stage), stage)
    }

    // MARK: Publishing

    /// Merges the layers and publishes the result, unless a required source is missing or nothing has changed.
    private func publishIfComplete(cause: SourceRevision?, trace: Trace?) -> Bool {
        let isComplete = plan.sources.allSatisfy { !$0.isRequired || inUse[$0.fetch.name] != nil }
        if isComplete, layersInForce != nil {
            layersInForce = nil
            inUse = inUse.filter { stages[$0.key] != nil }
        }
        guard isComplete || layersInForce != nil else { return false }
        let names = layersInForce ?? plan.sources.map(\.fetch.name)
        let layers = names.compactMap { inUse[$0] }
        guard !layers.isEmpty else { return false }
        currentLayers = layers.map(\.revision.source)
        let merged = LayerMerge(layers.map(\.table))
        let digest = merged.table.contentDigest
        guard digest != current?.digest else { return false }
        generation = store.next(after: generation)
        let snapshot = Snapshot(
            generation: generation,
            merged: merged,
            digest: digest,
            publishedAt: WallClock.nowNanoseconds,
            sources: layers.map(\.revision)
        )
        current = snapshot
        // Told first, so that whatever the publication sets off is told after it.
        events(.published(snapshot, source: cause, trace: trace))
        publisher.publish(snapshot)
        return true
    }

    private func keep(_ document: DecodedDocument, _ stage: Stage, fetchedAt: Int64) {
        let stored = StoredDocument(
            source: document.source,
            location: stage.location,
            body: document.body,
            format: document.format,
            validators: document.validators.areYoung ? .none : document.validators,
            digest: document.digest,
            fetchedAt: fetchedAt,
            generation: generation
        )
        store.keep([stored], layers: currentLayers, generation: current?.generation ?? 0)
    }

    // MARK: Failures

    private func note(_ source: SourceName, _ kind: FlightOutcome.Kind) {
        guard case .failed(let failure, _) = kind else {
            if let last = failures.removeValue(forKey: source) {
                events(.sourceRecovered(source, afterFailures: last.count))
            }
            return
        }
        let last = failures[source]
        let count = (last?.count ?? 0) + 1
        failures[source] = (count, failure.code)
        // The first, each new kind, and then the 2nd, 4th, 8th …: a source that is down for a day fills no journal.
        if last?.code != failure.code || count & (count - 1) == 0 {
            events(.sourceFailed(source, failure, inARow: count, generation: current?.generation ?? 0))
        }
    }
}
