internal import ConfigFetch
internal import ConfigGuard
internal import ConfigPublish
internal import ConfigSnapshot
internal import ConfigTrust
internal import ConfigVerify

/// What the pipeline builds snapshots from: the document in use of each source, and the order of the stages.
///
/// Here is what it knows, and how it becomes a snapshot. Where that comes from has files of its own: the disk at a start,
/// the sources' documents, operators, documents on demand.
///
/// Belongs to the pipeline's thread (before that thread starts, to the one that starts it).
final class Assembly {
    struct InUse {
        var table: LeafTable
        var revision: SourceRevision
        /// What its place has said of it, whatever is believed of that now.
        var said: Validators
        /// Where it came from: at another place its validators mean something else.
        var location: String
        /// What a record of a generation says of it.
        let layer: GenerationRecord.Layer
        /// Whether it was held against the rules of its source as they are now.
        var isJudged: Bool

        init(
            table: LeafTable,
            revision: SourceRevision,
            said: Validators? = nil,
            location: String,
            id: DocumentID,
            isJudged: Bool
        ) {
            self.isJudged = isJudged
            self.said = said ?? revision.validators
            self.table = table
            self.revision = revision
            self.location = location
            layer = GenerationRecord.Layer(
                source: revision.source,
                id: id,
                label: revision.label,
                fetchedAt: revision.fetchedAt
            )
        }

        /// What was in use before, and is again, by an operator's word, whatever the rules are now.
        init(_ stored: StoredDocument, _ decoded: DecodedDocument, _ revision: SourceRevision) {
            self.init(
                table: decoded.table,
                revision: revision,
                location: stored.location,
                id: stored.id,
                isJudged: false
            )
        }
    }

    struct AwaitedPin {
        let pin: OperatorState.Pin
        /// Whether what takes its place is to be written: not where it may be read at another time.
        let isToBeWritten: Bool
    }

    /// What is in use in place of what the sources say.
    struct Hold {
        var pin: OperatorState.Pin
        var layers: [InUse]
    }

    private(set) var plan: AgentPlan
    /// Of the plan: the sources whose documents make up the configuration, in their order.
    private(set) var layers: [SourceName]
    /// Those of them that are required and have not given a document.
    var missing: Set<SourceName> = []
    private(set) var stages: [SourceName: Stage]
    /// Whether the layers in force are still those of an earlier plan.
    var layersInForce: [SourceName]?
    private let publisher: Publisher
    let documents: OnDemandDocuments
    let store: Store
    let quarantine: QuarantineBook
    let checks: DocumentChecks
    let events: @Sendable (AgentEvent) -> Void
    var inUse: [SourceName: InUse] = [:]
    private(set) var generation: UInt64
    private(set) var current: Snapshot?
    /// The layers of `current`; `nil` while there is none.
    private(set) var currentLayers: [SourceName]?
    /// What an operator has pinned while there is nothing to pin: the first that comes is.
    var awaitedPin: AwaitedPin?
    /// Sources whose documents wait for those of other required sources.
    var held: Set<SourceName> = []
    private var failures: [SourceName: (count: Int, code: String)] = [:]
    /// By source: when the newest of what was not refused had come in.
    var settled: [SourceName: UInt64] = [:]
    /// Beyond these nothing goes back.
    var versions = VersionMarks()
    var hold: Hold?
    /// What `current` was made of, first layer first.
    private(set) var published: [InUse] = []
    /// Whether all that has to be there of the layers has been: until then nothing is published of them.
    var hasBeenComplete = false
    var freeze: Command?
    /// Told when something is pinned without a command.
    var whenPinned: (OperatorState) -> Void = { _ in }
    /// Of a generation that the store has not been told of.
    var record: GenerationRecord?

    init(
        plan: AgentPlan,
        publisher: Publisher,
        documents: OnDemandDocuments,
        store: Store,
        quarantine: QuarantineBook,
        checks: DocumentChecks,
        lastGeneration: UInt64,
        events: @escaping @Sendable (AgentEvent) -> Void
    ) {
        self.plan = plan
        self.publisher = publisher
        self.documents = documents
        self.store = store
        self.quarantine = quarantine
        self.checks = checks
        self.events = events
        generation = lastGeneration
        stages = Self.stages(of: plan)
        layers = plan.layers.map(\.fetch.name)
        noteMissing()
    }

    func noteMissing() {
        missing = []
        for source in plan.sources where source.isRequired && !source.fetch.isOnDemand {
            if inUse[source.fetch.name] == nil { missing.insert(source.fetch.name) }
        }
    }

    static func stages(of plan: AgentPlan) -> [SourceName: Stage] {
        Dictionary(uniqueKeysWithValues: plan.sources.map { ($0.fetch.name, Stage($0)) })
    }

    func isLayer(_ name: SourceName) -> Bool { stages[name]?.isOnDemand == false }

    var now: UInt64 { Stage.now }

    // MARK: A new plan

    /// Takes over `next`; see ``Agent/adopt(_:until:)``.
    ///
    /// - Parameter stored: stored copies of sources that are new.
    /// - Returns: the revisions in use, and which of the new sources are served from their stored copies.
    func adopt(
        _ next: AgentPlan,
        stored: [StoredDocument]
    ) -> (inUse: [SourceName: SourceRevision], restored: Set<SourceName>) {
        if hasBeenComplete, layersInForce == nil { layersInForce = layers }
        let old = stages
        plan = next
        layers = next.layers.map(\.fetch.name)
        stages = Self.stages(of: next)
        askAnew(comparedWith: old)
        failures = failures.filter { stages[$0.key]?.version == old[$0.key]?.version }
        settled = settled.filter { stages[$0.key] != nil }
        held = held.filter { isLayer($0) }
        // What an earlier plan has left, and the layers in force do not need.
        inUse = inUse.filter { isLayer($0.key) || layersInForce?.contains($0.key) == true }
        noteTrust()
        let moved = stages.filter { name, stage in
            old[name]?.location != stage.location || !stage.believes(as: old[name]) || !stage.judges(as: old[name])
        }
        documents.adopt(next, dropping: Set(moved.keys))
        var restored: Set<SourceName> = []
        for document in stored where inUse[document.source] == nil {
            restore(document)
            if inUse[document.source] != nil { restored.insert(document.source) }
        }
        noteMissing()
        let before = currentLayers
        // Which layers are in force is to be known at the next start, too, whatever has come of their content.
        if publishIfComplete(.configuration) || currentLayers != before {
            store.keep([], layers: currentLayers, record: takeRecord(), generation: generation)
        }
        var revisions = inUse.filter { isLayer($0.key) }.mapValues(\.revision)
        for name in stages.keys where !isLayer(name) { revisions[name] = documents.revision(of: name) }
        return (revisions, restored)
    }

    /// Has the whole of a document asked for where what is in use may be no more than was wanted before.
    private func askAnew(comparedWith old: [SourceName: Stage]) {
        for (name, stage) in stages {
            // Another place gives the same ETag another meaning. And who says that nothing has changed has not looked at
            // what is required of its signature now, or of its content.
            if !stage.judges(as: old[name]) { inUse[name]?.isJudged = false }
            guard let used = inUse[name] else { continue }
            if used.location != stage.location || !stage.believes(as: old[name]) || !used.isJudged {
                inUse[name]?.revision = used.revision.withoutValidators
            }
        }
    }

    // MARK: Publishing

    /// Merges the layers and publishes the result, unless a required source is missing or nothing has changed.
    ///
    /// - Parameters:
    ///   - revision: of the document that has caused it.
    ///   - command: what somebody has commanded that has caused it.
    func publishIfComplete(
        _ cause: GenerationRecord.Cause,
        by revision: SourceRevision? = nil,
        trace: Trace? = nil,
        command: Command? = nil
    ) -> Bool {
        guard let layers = layersToPublish() else { return false }
        // What is pinned has layers of its own, which are not those that come back after it.
        if hold == nil { currentLayers = layers.map(\.revision.source) }
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
        published = layers
        record = GenerationRecord(
            generation: generation,
            publishedAt: snapshot.publishedAt,
            digest: digest,
            keys: snapshot.count,
            cause: cause,
            command: command,
            layers: layers.map(\.layer)
        )
        // Told first, so that whatever the publication sets off is told after it.
        events(.published(snapshot, source: revision, trace: trace))
        publisher.publish(snapshot)
        if hold == nil, let awaited = awaitedPin { takePlace(of: awaited) }
        return true
    }

    /// What makes up the configuration now, first layer first; `nil` while something that has to be there is not.
    private func layersToPublish() -> [InUse]? {
        if let hold { return hold.layers }
        let isComplete = missing.isEmpty
        if isComplete, layersInForce != nil {
            layersInForce = nil
            inUse = inUse.filter { isLayer($0.key) }
        }
        guard isComplete || layersInForce != nil else { return nil }
        let names = layersInForce ?? layers
        let found = names.compactMap { inUse[$0] }
        // Where every source is loaded on demand, the configuration is empty, and complete.
        guard !found.isEmpty || (names.isEmpty && !plan.sources.isEmpty) else { return nil }
        hasBeenComplete = true
        return found
    }

    func takeRecord() -> GenerationRecord? {
        defer { record = nil }
        return record
    }

    func keep(_ document: DecodedDocument, _ stage: Stage, fetchedAt: Int64) {
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
        store.keep(
            [stored],
            layers: currentLayers,
            versions: versions,
            record: takeRecord(),
            generation: current?.generation ?? 0
        )
    }

    // MARK: Failures

    func note(_ source: SourceName, _ kind: FlightOutcome.Kind) {
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
    init(_ document: VerifiedDocument, fetchedAt: Int64) {
        self.init(
            source: document.source,
            digest: document.digest,
            signed: document.signed,
            validators: document.validators,
            fetchedAt: fetchedAt,
            traceID: document.trace.text
        )
    }

    /// What a source has offered, before anything about it is known for sure.
    init?(offered document: FetchedDocument) {
        guard let digest = ContentDigest(of: document.body) else { return nil }
        self.init(
            source: document.source,
            digest: digest,
            validators: document.validators,
            fetchedAt: WallClock.nowNanoseconds,
            traceID: document.trace.text
        )
    }

    /// Whether the document is this one, its signature included.
    func isSame(as document: VerifiedDocument) -> Bool {
        digest == document.digest && signed == document.signed
    }
}
