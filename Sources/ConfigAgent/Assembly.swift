internal import ConfigDecode
internal import ConfigFetch
internal import ConfigPublish
internal import ConfigSnapshot
internal import ConfigTrust
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
        /// Whether its document stands by itself, and not among the layers.
        let isOnDemand: Bool
        let location: String
        let verifier: Verifier
        let decoder: DocumentDecoder

        init(_ source: AgentPlan.Source) {
            isOnDemand = source.fetch.isOnDemand
            version = source.fetch.version
            location = StoredDocument.location(url: source.fetch.location, unixSocket: source.fetch.unixSocket)
            verifier = Verifier(maxBytes: source.fetch.maxBytes, policy: source.fetch.policy)
            decoder = DocumentDecoder(
                limits: source.limits,
                format: source.format,
                urlPath: String(source.fetch.url.prefix { $0 != "?" && $0 != "#" })
            )
        }

        /// For a document that was accepted once, of a source that is no longer configured.
        init(ofRemoved stored: StoredDocument) {
            isOnDemand = false
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
    /// Of the plan: the sources whose documents make up the configuration, in their order.
    private var layers: [SourceName]
    /// Those of them that are required and have not given a document.
    private var missing: Set<SourceName> = []
    private var stages: [SourceName: Stage]
    /// Whether the layers in force are still those of an earlier plan.
    private var layersInForce: [SourceName]?
    private let publisher: Publisher
    private let documents: OnDemandDocuments
    private let store: Store
    private let events: @Sendable (AgentEvent) -> Void
    private var inUse: [SourceName: InUse] = [:]
    private var generation: UInt64
    private var current: Snapshot?
    /// The layers of `current`; `nil` while there is none.
    private var currentLayers: [SourceName]?
    /// Sources whose documents wait for those of other required sources.
    private var held: Set<SourceName> = []
    private var failures: [SourceName: (count: Int, code: String)] = [:]
    /// Beyond these nothing goes back.
    private var versions = VersionMarks()

    init(
        plan: AgentPlan,
        publisher: Publisher,
        documents: OnDemandDocuments,
        store: Store,
        lastGeneration: UInt64,
        events: @escaping @Sendable (AgentEvent) -> Void
    ) {
        self.plan = plan
        self.publisher = publisher
        self.documents = documents
        self.store = store
        self.events = events
        generation = lastGeneration
        stages = Self.stages(of: plan)
        layers = plan.layers.map(\.fetch.name)
        noteMissing()
    }

    private func noteMissing() {
        missing = []
        for source in plan.sources where source.isRequired && !source.fetch.isOnDemand {
            if inUse[source.fetch.name] == nil { missing.insert(source.fetch.name) }
        }
    }

    private static func stages(of plan: AgentPlan) -> [SourceName: Stage] {
        Dictionary(uniqueKeysWithValues: plan.sources.map { ($0.fetch.name, Stage($0)) })
    }

    private func isLayer(_ name: SourceName) -> Bool { stages[name]?.isOnDemand == false }

    private var now: UInt64 { MonotonicTime.now.nanoseconds }

    // MARK: At the start

    /// Takes the stored copies into use and publishes them, as far as every required source has one.
    ///
    /// - Returns: the revisions in use.
    func restore(progress: () -> Void = {}) -> [SourceName: SourceRevision] {
        do throws(StoredDocumentFault) { versions = try store.loadVersions() } catch {
            events(.versionsUnusable(error))
        }
        for name in layers {
            progress()
            if let stored = load(name) { restore(stored) }
        }
        noteMissing()
        if publishIfComplete(cause: nil, trace: nil) || restoreLayersOfBefore() {
            store.noteDurable(generation)
        } else {
            held = Set(inUse.keys)
        }
        return inUse.filter { isLayer($0.key) }.mapValues(\.revision)
    }

    /// A required source has nothing stored. The layers that were in force before the configuration was changed may
    /// all be there: until the new ones are complete, they stay in force.
    private func restoreLayersOfBefore() -> Bool {
        guard let names = store.loadLayers() else { return false }
        for name in names where !isLayer(name) {
            if let stored = load(name) { restore(stored, Stage(ofRemoved: stored)) }
        }
        guard names.allSatisfy({ inUse[$0] != nil }) else {
            inUse = inUse.filter { isLayer($0.key) }
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
        guard let (decoded, revision) = examine(stored, stage) else { return }
        inUse[stored.source] = InUse(table: decoded.table, revision: revision, location: stored.location)
        events(.lastGoodUsed(revision))
    }

    private func examine(_ stored: StoredDocument, _ stage: Stage) -> (DecodedDocument, SourceRevision)? {
        // Another place gives the same ETag another meaning.
        let validators = stored.location == stage.location ? stored.validators : .none
        var trace = Trace()
        trace[.requested] = now
        trace[.received] = now
        let document = FetchedDocument(
            source: stored.source,
            body: stored.body,
            signature: stored.signature,
            validators: validators,
            contentType: stored.format == .yaml ? "application/yaml" : "application/json",
            trace: trace
        )
        do throws(StageFailure) {
            let verdict = try verify(document, stage, .keeping)
            let decoded = try decode(verdict.document, stage)
            // Whatever has become of the list of versions: what is stored was accepted once.
            note(verdict, stage)
            let revision = SourceRevision(
                source: stored.source,
                digest: decoded.digest,
                signed: decoded.signed,
                validators: validators,
                fetchedAt: stored.fetchedAt,
                traceID: trace.text
            )
            return (decoded, revision)
        } catch {
            events(.sourceFailed(stored.source, error, inARow: 1, generation: generation))
            return nil
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
        if current != nil, layersInForce == nil { layersInForce = layers }
        let old = stages
        plan = next
        layers = next.layers.map(\.fetch.name)
        stages = Self.stages(of: next)
        for (name, stage) in stages {
            // Another place gives the same ETag another meaning. And who says that nothing has changed has not looked at
            // what is required of its signature now.
            guard inUse[name]?.location != stage.location || old[name]?.verifier.policy != stage.verifier.policy else {
                continue
            }
            if let revision = inUse[name]?.revision { inUse[name]?.revision = revision.withoutValidators }
        }
        failures = failures.filter { stages[$0.key]?.version == old[$0.key]?.version }
        held = held.filter { isLayer($0) }
        // What an earlier plan has left, and the layers in force do not need.
        inUse = inUse.filter { isLayer($0.key) || layersInForce?.contains($0.key) == true }
        let moved = stages.keys.filter { old[$0]?.location != stages[$0]?.location }
        documents.adopt(next, dropping: Set(moved))
        var restored: Set<SourceName> = []
        for document in stored where inUse[document.source] == nil {
            restore(document)
            if inUse[document.source] != nil { restored.insert(document.source) }
        }
        noteMissing()
        if publishIfComplete(cause: nil, trace: nil) {
            store.keep([], layers: currentLayers, generation: generation)
        }
        var revisions = inUse.filter { isLayer($0.key) }.mapValues(\.revision)
        for name in stages.keys where !isLayer(name) { revisions[name] = documents.revision(of: name) }
        return (revisions, restored)
    }

    // MARK: Documents

    /// Takes one result through the stages.
    func process(_ source: SourceName, _ result: FetchResult, version: UInt64) -> FlightOutcome {
        guard let stage = stages[source], stage.version == version else { return superseded(source, result) }
        let kind: FlightOutcome.Kind
        var trace: Trace?
        switch result {
        case .failed(let failure, let retryAfter):
            if stage.isOnDemand { documents.noteFailure(source) }
            kind = .failed(failure, retryAfterNanoseconds: retryAfter)
        case .notModified:
            kind = .notModified
            if stage.isOnDemand { documents.confirm(source, nil) }
        case .document(let document):
            trace = document.trace
            do throws(StageFailure) {
                (kind, trace) = try stage.isOnDemand ? acceptAlone(document, stage) : accept(document, stage)
            } catch {
                if stage.isOnDemand { documents.noteFailure(source) }
                kind = .failed(error, retryAfterNanoseconds: nil)
            }
        }
        note(source, kind)
        var released: [SourceName] = []
        if case .published = kind, !stage.isOnDemand {
            released = held.sorted()
            held = []
        }
        return FlightOutcome(
            kind: kind,
            generation: current?.generation ?? 0,
            revision: revision(of: source),
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
            revision: revision(of: source),
            trace: nil
        )
    }

    private func revision(of source: SourceName) -> SourceRevision? {
        isLayer(source) ? inUse[source]?.revision : documents.revision(of: source)
    }

    private func accept(
        _ fetched: FetchedDocument,
        _ stage: Stage
    ) throws(StageFailure) -> (FlightOutcome.Kind, Trace) {
        let name = fetched.source
        let verdict = try verify(fetched, stage)
        let verified = verdict.document
        let fetchedAt = WallClock.nowNanoseconds
        if var same = inUse[name], same.revision.isSame(as: verified) {
            confirm(&same, verified, stage, fetchedAt: fetchedAt)
            return (current == nil ? .held : .unchanged, verified.trace)
        }
        let decoded = try decode(verified, stage)
        let revision = SourceRevision(verified, fetchedAt: fetchedAt)
        note(verdict, stage)
        inUse[name] = InUse(table: decoded.table, revision: revision, location: stage.location)
        missing.remove(name)
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
        same.revision = SourceRevision(verified, fetchedAt: fetchedAt)
        inUse[verified.source] = same
    }

    /// As of now: signed by whom it has to be, and nothing older than what was accepted before.
    private func verify(_ document: FetchedDocument, _ stage: Stage) throws(StageFailure) -> Verifier.Verdict {
        let verdict = try verify(document, stage, .taking(at: WallClock.nowNanoseconds / 1_000_000_000))
        if let accepted = verdict.accepted, let policy = stage.verifier.policy { try versions.check(accepted, policy) }
        return verdict
    }

    private func verify(
        _ document: FetchedDocument,
        _ stage: Stage,
        _ moment: SignaturePolicy.Moment
    ) throws(StageFailure) -> Verifier.Verdict {
        try stage.verifier.verify(document, moment, now: { self.now })
    }

    /// A document is in use: from now on none of its source that is older.
    private func note(_ verdict: Verifier.Verdict, _ stage: Stage) {
        if let accepted = verdict.accepted, let policy = stage.verifier.policy { versions.note(accepted, policy) }
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

    // MARK: Publishing

    /// Merges the layers and publishes the result, unless a required source is missing or nothing has changed.
    private func publishIfComplete(cause: SourceRevision?, trace: Trace?) -> Bool {
        let isComplete = missing.isEmpty
        if isComplete, layersInForce != nil {
            layersInForce = nil
            inUse = inUse.filter { isLayer($0.key) }
        }
        guard isComplete || layersInForce != nil else { return false }
        let names = layersInForce ?? layers
        let layers = names.compactMap { inUse[$0] }
        // Where every source is loaded on demand, the configuration is empty, and complete.
        guard !layers.isEmpty || (names.isEmpty && !plan.sources.isEmpty) else { return false }
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
            signature: document.signature,
            format: document.format,
            validators: document.validators,
            digest: document.digest,
            fetchedAt: fetchedAt,
            generation: generation
        )
        store.keep([stored], layers: currentLayers, versions: versions, generation: current?.generation ?? 0)
    }

    // MARK: Documents on demand

    /// Takes a stored copy into use for those who wait for its source, until that has answered.
    ///
    /// - Returns: what the source is to confirm; `nil` where the copy is not used.
    func restoreAlone(_ stored: StoredDocument) -> SourceRevision? {
        guard let stage = stages[stored.source], stage.isOnDemand, documents.held(stored.source) == nil,
            let (decoded, revision) = examine(stored, stage)
        else { return nil }
        documents.hold(alone(decoded.table, revision), revision, isLastGood: true)
        return revision
    }

    private func acceptAlone(
        _ fetched: FetchedDocument,
        _ stage: Stage
    ) throws(StageFailure) -> (FlightOutcome.Kind, Trace) {
        let verdict = try verify(fetched, stage)
        let verified = verdict.document
        let fetchedAt = WallClock.nowNanoseconds
        if documents.revision(of: verified.source)?.isSame(as: verified) == true {
            documents.confirm(verified.source, SourceRevision(verified, fetchedAt: fetchedAt))
            return (.unchanged, verified.trace)
        }
        let decoded = try decode(verified, stage)
        let revision = SourceRevision(verified, fetchedAt: fetchedAt)
        note(verdict, stage)
        let document = alone(decoded.table, revision)
        // Told first, as with any publication.
        events(.documentLoaded(revision, keys: document.count, decoded.trace))
        documents.hold(document, revision, isLastGood: false)
        keep(decoded, stage, fetchedAt: fetchedAt)
        var trace = decoded.trace
        trace[.published] = now
        return (.published, trace)
    }

    /// The snapshot of one document: its number says nothing, for it is no generation of the configuration.
    private func alone(_ table: LeafTable, _ revision: SourceRevision) -> Snapshot {
        Snapshot(
            generation: 0,
            merged: LayerMerge([table]),
            digest: table.contentDigest,
            publishedAt: WallClock.nowNanoseconds,
            sources: [revision]
        )
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

extension SourceRevision {
    fileprivate init(_ document: VerifiedDocument, fetchedAt: Int64) {
        self.init(
            source: document.source,
            digest: document.digest,
            signed: document.signed,
            validators: document.validators,
            fetchedAt: fetchedAt,
            traceID: document.trace.text
        )
    }

    /// Whether the document is this one, its signature included.
    fileprivate func isSame(as document: VerifiedDocument) -> Bool {
        digest == document.digest && signed == document.signed
    }
}
