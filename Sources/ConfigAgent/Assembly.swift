internal import ConfigDecode
internal import ConfigFetch
internal import ConfigGuard
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
    }

    /// What is in use in place of what the sources say.
    private struct Hold {
        var pin: OperatorState.Pin
        var layers: [InUse]
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
    private let quarantine: QuarantineBook
    private let checks: DocumentChecks
    private let events: @Sendable (AgentEvent) -> Void
    private var inUse: [SourceName: InUse] = [:]
    private var generation: UInt64
    private var current: Snapshot?
    /// The layers of `current`; `nil` while there is none.
    private var currentLayers: [SourceName]?
    /// Sources whose documents wait for those of other required sources.
    private var held: Set<SourceName> = []
    private var failures: [SourceName: (count: Int, code: String)] = [:]
    /// By source: when the newest of what was not refused had come in.
    private var settled: [SourceName: UInt64] = [:]
    /// Beyond these nothing goes back.
    private var versions = VersionMarks()
    private var hold: Hold?
    /// What `current` was made of, first layer first.
    private var published: [InUse] = []
    /// Whether all that has to be there of the layers has been: until then nothing is published of them.
    private var hasBeenComplete = false
    private var freeze: Command?
    /// Of a generation that the store has not been told of.
    private var record: GenerationRecord?

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

    private var now: UInt64 { Stage.now }

    // MARK: At the start

    /// Takes the stored copies into use and publishes them, as far as every required source has one.
    ///
    /// - Returns: the revisions in use.
    func restore(progress: () -> Void = {}) -> [SourceName: SourceRevision] {
        restoreVersions()
        do throws(StoredDocumentFault) { try quarantine.load() } catch {
            events(.store(.quarantineUnusable(error)))
        }
        noteTrust()
        for name in layers {
            progress()
            if let stored = load(name) { restore(stored) }
        }
        noteMissing()
        let (pin, isNews) = restoreOperatorState()
        if publishIfComplete(.start) || (hold == nil && restoreLayersOfBefore()) {
            store.noteLoaded(generation)
            recordStart()
            // What is pinned is in force; behind it the layers of before wait, where the new ones are not complete.
            if hold != nil, !missing.isEmpty { hasBeenComplete = restoreLayersOfBefore() || layersInForce != nil }
            // Neither what was pinned nor what was in use last can be had: then at least nothing changes from here on.
            if let pin, hold == nil { holdCurrent(OperatorState.Pin(generation: generation, command: pin.command)) }
            if isNews { _ = store.keep(operatorState) }
        } else {
            held = Set(inUse.keys)
        }
        return inUse.filter { isLayer($0.key) }.mapValues(\.revision)
    }

    /// What is known of the documents of layers that have mirrors. Which of them has said what was not kept, nor where its
    /// source was then: as many generations as are kept are remembered, and a place that is new is held against them too.
    var pasts: [SourceName: SourcePast] {
        let mirrored = Set(plan.layers.map(\.fetch).filter { !$0.mirrors.isEmpty }.map(\.name))
        guard !mirrored.isEmpty else { return [:] }
        var documents: [SourceName: Set<DocumentID>] = [:]
        for layer in store.records.flatMap(\.layers) where mirrored.contains(layer.source) {
            documents[layer.source, default: []].insert(layer.id)
        }
        return inUse.filter { mirrored.contains($0.key) && $0.value.location == stages[$0.key]?.location }.mapValues {
            let known = documents[$0.layer.source, default: []].union([$0.layer.id])
            return SourcePast(said: $0.said) { known.contains(DocumentID(digest: $0, signature: $1)) }
        }
    }

    private func restoreVersions() {
        let (marks, faults) = store.loadVersions()
        versions = marks
        for fault in faults { events(.store(.versionsUnusable(fault))) }
        if !faults.isEmpty, !marks.isEmpty { store.keep([], layers: nil, versions: versions, generation: 0) }
    }

    /// What was commanded for good is in force again.
    ///
    /// - Returns: what is to be pinned, and whether that is to be written: not in the place of what may be read at another time.
    private func restoreOperatorState() -> (pin: OperatorState.Pin?, isNews: Bool) {
        var isPassing = store.historyFault != nil
        if let fault = store.historyFault { events(.store(.historyUnreadable(fault))) }
        // What was in use last, as far as anybody knows.
        let newest = store.records.last?.last ?? generation
        do throws(StoredDocumentFault) {
            let state = try store.loadOperatorState()
            freeze = state.freeze
            guard let pin = state.pin else { return (nil, false) }
            do throws(GenerationFault) {
                try restore(pin)
                return (pin, false)
            } catch {
                events(.store(.pinLost(pin, error)))
                if case .document(_, .file(let failure)) = error, !failure.isMissing { isPassing = true }
            }
            let instead = OperatorState.Pin(generation: newest, command: pin.command)
            try? restore(instead)
            return (instead, !isPassing)
        } catch {
            events(.store(.operatorStateUnusable(error)))
            // Nobody knows whether what was in use was to stay. Taking what is new could be what somebody forbade; staying is
            // told, and ends with a word of the operator's.
            let command = Command(by: .thisProcess, at: WallClock.nowNanoseconds, reason: Self.unreadable)
            let pin = OperatorState.Pin(generation: newest, command: command)
            try? restore(pin)
            return (pin, error.wasSetAside)
        }
    }

    private static let unreadable = "what was commanded before cannot be read"

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
        return publishIfComplete(.start)
    }

    private func load(_ name: SourceName) -> StoredDocument? {
        let (document, fault) = store.loadGood(name)
        if let fault { events(.store(.copyUnusable(name, fault))) }
        return document
    }

    /// What is in use after a start is, most often, what was in use before: the same record goes on.
    private func recordStart() {
        guard var record else { return }
        if var newest = store.records.last, newest.digest == record.digest, newest.layers == record.layers {
            newest.noteStart(record.generation, keeping: hold?.pin.generation)
            record = newest
        }
        self.record = nil
        store.keep([], layers: currentLayers, record: record, generation: generation)
    }

    private func restore(_ pin: OperatorState.Pin) throws(GenerationFault) {
        let (record, documents) = try store.documents(of: pin.generation)
        let layers = documents.compactMap { stored in
            examine(stored, stages[stored.source] ?? Stage(ofRemoved: stored)).map { decoded, revision in
                InUse(
                    table: decoded.table,
                    revision: revision,
                    location: stored.location,
                    id: stored.id,
                    isJudged: false
                )
            }
        }
        // Why one of them is not used has been told.
        guard layers.count == record.layers.count else { throw .notKept(pin.generation) }
        hold = Hold(pin: pin, layers: layers)
    }

    private func holdCurrent(_ pin: OperatorState.Pin) {
        hold = Hold(pin: pin, layers: published)
    }

    /// A stored copy goes through the same stages as a fetched document: the rules may have changed since.
    private func restore(_ stored: StoredDocument) {
        if let stage = stages[stored.source] { restore(stored, stage) }
    }

    private func restore(_ stored: StoredDocument, _ stage: Stage) {
        guard let (decoded, revision) = examine(stored, stage) else { return }
        // Rules hold back what is new. What was accepted once stays until something better comes, and its source is asked
        // for the whole of it, so that what is wrong with it is told.
        let isJudged = isKnownGood(decoded, stage)
        inUse[stored.source] = InUse(
            table: decoded.table,
            revision: isJudged ? revision : revision.withoutValidators,
            said: stored.validators,
            location: stored.location,
            id: stored.id,
            isJudged: isJudged
        )
        events(.lastGoodUsed(revision))
    }

    private func examine(_ stored: StoredDocument, _ stage: Stage) -> (DecodedDocument, SourceRevision)? {
        // Another place gives the same ETag another meaning.
        let validators = stored.location == stage.location ? stored.validators : .none
        var trace = Trace()
        trace[.requested] = now
        trace[.received] = now
        let document = Stage.fetched(stored, validators: validators, trace)
        do throws(StageFailure) {
            let verdict = try verify(document, stage, .keeping)
            let decoded = try decode(verdict.document, stage)
            // Whatever has become of the list of versions: what is stored was accepted once.
            note(verdict, stage)
            // Who says that nothing has changed does not say that it is still to be believed.
            let isBelieved = stage.verifier.policy?.distrust(of: decoded.signed) == nil
            let revision = SourceRevision(
                source: stored.source,
                digest: decoded.digest,
                signed: decoded.signed,
                validators: isBelieved ? validators : .none,
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
        if hasBeenComplete, layersInForce == nil { layersInForce = layers }
        let old = stages
        plan = next
        layers = next.layers.map(\.fetch.name)
        stages = Self.stages(of: next)
        for (name, stage) in stages {
            // Another place gives the same ETag another meaning. And who says that nothing has changed has not looked at
            // what is required of its signature now.
            let hasOtherRules = old[name]?.rules != stage.rules
            if hasOtherRules { inUse[name]?.isJudged = stage.rules.isEmpty }
            guard
                inUse[name]?.location != stage.location || old[name]?.verifier.policy != stage.verifier.policy
                    || hasOtherRules
            else { continue }
            if let revision = inUse[name]?.revision { inUse[name]?.revision = revision.withoutValidators }
        }
        failures = failures.filter { stages[$0.key]?.version == old[$0.key]?.version }
        settled = settled.filter { stages[$0.key] != nil }
        held = held.filter { isLayer($0) }
        // What an earlier plan has left, and the layers in force do not need.
        inUse = inUse.filter { isLayer($0.key) || layersInForce?.contains($0.key) == true }
        noteTrust()
        let moved = stages.keys.filter { name in
            old[name]?.location != stages[name]?.location || old[name]?.verifier.policy != stages[name]?.verifier.policy
                || old[name]?.rules != stages[name]?.rules
        }
        documents.adopt(next, dropping: Set(moved))
        var restored: Set<SourceName> = []
        for document in stored where inUse[document.source] == nil {
            restore(document)
            if inUse[document.source] != nil { restored.insert(document.source) }
        }
        noteMissing()
        if publishIfComplete(.configuration) {
            store.keep([], layers: currentLayers, record: takeRecord(), generation: generation)
        }
        var revisions = inUse.filter { isLayer($0.key) }.mapValues(\.revision)
        for name in stages.keys where !isLayer(name) { revisions[name] = documents.revision(of: name) }
        return (revisions, restored)
    }

    // MARK: Documents

    /// How far a result has come.
    enum Progress {
        case done(FlightOutcome)
        /// It waits for an answer to this, and is to come again then.
        case checking(DocumentChecks.Question)
    }

    /// What has become of a document.
    private enum Verdict {
        case taken(FlightOutcome.Kind, Trace)
        /// Nothing yet, and nothing has changed.
        case awaits(DocumentChecks.Question)
    }

    /// Takes one result through the stages.
    ///
    /// - Parameter order: of its arrival, among all: while a command looked at it, another may have overtaken it.
    func process(_ source: SourceName, _ result: FetchResult, version: UInt64, order: UInt64) -> Progress {
        guard let stage = stages[source], stage.version == version else { return .done(superseded(source, result)) }
        guard order >= settled[source, default: 0] else { return .done(overtaken(source)) }
        if let failure = frozen(result) { return .done(ignored(source, failure)) }
        let kind: FlightOutcome.Kind
        var trace: Trace?
        var offered: SourceRevision?
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
                switch try take(document, stage) {
                case .taken(let what, let when): (kind, trace) = (what, when)
                case .awaits(let question): return .checking(question)
                }
                offered = revision(of: source)
            } catch {
                offered = SourceRevision(offered: document)
                if stage.isOnDemand { documents.noteFailure(source) }
                kind = .failed(error, retryAfterNanoseconds: nil)
            }
        }
        if case .failed = kind {} else { settled[source] = order }
        note(source, kind)
        return .done(
            FlightOutcome(
                kind: kind,
                generation: current?.generation ?? 0,
                revision: revision(of: source),
                running: running(source),
                offered: offered,
                trace: trace,
                released: released(by: kind, stage)
            )
        )
    }

    private func take(_ document: FetchedDocument, _ stage: Stage) throws(StageFailure) -> Verdict {
        try stage.isOnDemand ? acceptAlone(document, stage) : accept(document, stage)
    }

    /// What was on its way when the sources were frozen changes nothing any more, and what was not asked says nothing.
    private func frozen(_ result: FetchResult) -> StageFailure? {
        if freeze != nil { return .frozen }
        if case .failed(let failure, _) = result, failure.code == StageFailure.frozenCode { return failure }
        return nil
    }

    /// Sources whose documents come into use with this one.
    private func released(by kind: FlightOutcome.Kind, _ stage: Stage) -> [SourceName] {
        guard case .published = kind, !stage.isOnDemand else { return [] }
        defer { held = [] }
        return held.sorted()
    }

    /// What is in use of a source: with something pinned, not what came last.
    func running(_ source: SourceName) -> SourceRevision? {
        guard isLayer(source), hold != nil || !hasBeenComplete else { return revision(of: source) }
        return published.isEmpty ? revision(of: source) : published.first { $0.revision.source == source }?.revision
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
        return ignored(source, failure)
    }

    /// What came later has been judged already.
    func overtaken(_ source: SourceName) -> FlightOutcome {
        ignored(
            source,
            StageFailure(.guarding, FlightOutcome.supersededCode, "a newer document of its source came first")
        )
    }

    private func ignored(_ source: SourceName, _ failure: StageFailure) -> FlightOutcome {
        FlightOutcome(
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
    ) throws(StageFailure) -> Verdict {
        let name = fetched.source
        let verdict = try verify(fetched, stage)
        let verified = verdict.document
        let fetchedAt = WallClock.nowNanoseconds
        if var same = inUse[name], same.revision.isSame(as: verified) {
            if !same.isJudged {
                if let question = try judge(try decode(verified, stage), stage, before: nil) {
                    return .awaits(question)
                }
                same.isJudged = true
                inUse[name] = same
            }
            confirm(&same, verified, stage, fetchedAt: fetchedAt)
            // What is held back is so also when it comes again.
            let isHeld = current == nil || running(name)?.digest != verified.digest
            return .taken(isHeld ? .held : .unchanged, verified.trace)
        }
        let decoded = try decode(verified, stage)
        if let question = try judge(decoded, stage, before: inUse[name]?.table.count) { return .awaits(question) }
        let revision = SourceRevision(verified, fetchedAt: fetchedAt)
        note(verdict, stage)
        inUse[name] = InUse(
            table: decoded.table,
            revision: revision,
            location: stage.location,
            id: DocumentID(digest: decoded.digest, signature: decoded.signature),
            isJudged: true
        )
        missing.remove(name)
        let isNew = publishIfComplete(.source(name), by: revision, trace: decoded.trace)
        keep(decoded, stage, fetchedAt: fetchedAt)
        guard isNew else {
            // Other required sources are still missing, something else is pinned, or the same content came in other bytes.
            let isHeld = current == nil || hold != nil || !hasBeenComplete
            if isHeld { held.insert(name) }
            return .taken(isHeld ? .held : .unchanged, decoded.trace)
        }
        held.remove(name)
        var trace = decoded.trace
        trace[.published] = now
        return .taken(.published, trace)
    }

    /// Holds a document against the rules of its source.
    ///
    /// - Returns: what has to be asked first, where a command has the last word; the second time that has been answered.
    private func judge(
        _ document: DecodedDocument,
        _ stage: Stage,
        before: Int?
    ) throws(StageFailure) -> DocumentChecks.Question? {
        try quarantine.examine(document, try stage.findings(in: document, before: before))
        guard let check = stage.rules.check, !quarantine.hasAccepted(document) else {
            quarantine.forget(document)
            return nil
        }
        switch checks.take(document.source, document.digest, check) {
        case nil:
            return DocumentChecks.Question(
                source: document.source,
                digest: document.digest,
                format: document.format,
                check: check,
                body: document.body
            )
        case .passed:
            quarantine.forget(document)
            return nil
        case .refused(let reasons):
            try quarantine.examine(document, Findings(check: reasons))
            return nil
        case .notRun(let why):
            throw StageFailure(
                .guarding,
                "check_not_run",
                "its check could not be run: \(why)",
                hint:
                    "with systemd: systemctl start agent-check.socket; the command is run as nobody, without network and "
                    + "without /run"
            )
        }
    }

    /// Whether a stored document is known to fulfil the rules as they are now. A command is not asked at a start, which would
    /// wait for it: it is once the source has said the document again.
    private func isKnownGood(_ document: DecodedDocument, _ stage: Stage) -> Bool {
        guard stage.rules.check == nil else { return false }
        do throws(StageFailure) {
            _ = try judge(document, stage, before: nil)
            return true
        } catch { return false }
    }

    /// The bytes in use came again, perhaps under a new ETag.
    private func confirm(_ same: inout InUse, _ verified: VerifiedDocument, _ stage: Stage, fetchedAt: Int64) {
        guard same.revision.validators != verified.validators || same.location != stage.location else { return }
        let isFromElsewhere = same.said.mirror != verified.validators.mirror
        same.location = stage.location
        same.revision = SourceRevision(verified, fetchedAt: fetchedAt)
        same.said = verified.validators
        inUse[verified.source] = same
        // Who has said it last, and may take it back, is to be known after a start too.
        if isFromElsewhere, let decoded = try? decode(verified, stage) { keep(decoded, stage, fetchedAt: fetchedAt) }
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
        try stage.verifier.verify(document, moment, now: { Stage.now })
    }

    /// The trust files in force: from now on none that is older.
    private func noteTrust() {
        let isNews = stages.values.compactMap(\.verifier.policy?.trust).map { versions.note($0) }.contains(true)
        if isNews { store.keep([], layers: nil, versions: versions, generation: 0) }
    }

    /// A document is in use: from now on none of its source that is older.
    private func note(_ verdict: Verifier.Verdict, _ stage: Stage) {
        if let accepted = verdict.accepted, let policy = stage.verifier.policy { versions.note(accepted, policy) }
    }

    private func decode(
        _ document: VerifiedDocument,
        _ stage: Stage
    ) throws(StageFailure) -> DecodedDocument { try stage.decode(document) }

    // MARK: Publishing

    /// Merges the layers and publishes the result, unless a required source is missing or nothing has changed.
    ///
    /// - Parameters:
    ///   - revision: of the document that has caused it.
    ///   - command: what somebody has commanded that has caused it.
    private func publishIfComplete(
        _ cause: GenerationRecord.Cause,
        by revision: SourceRevision? = nil,
        trace: Trace? = nil,
        command: Command? = nil
    ) -> Bool {
        guard let layers = layersToPublish() else { return false }
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

    private func takeRecord() -> GenerationRecord? {
        defer { record = nil }
        return record
    }

    // MARK: What the operator commands

    var newestGeneration: UInt64 { current?.generation ?? 0 }

    /// What is in use of each layer.
    var runningRevisions: [SourceName: SourceRevision] {
        Dictionary(published.map { ($0.revision.source, $0.revision) }) { first, _ in first }
    }

    var operatorState: OperatorState { OperatorState(pin: hold?.pin, freeze: freeze) }

    /// The tables in use, first layer first, for whoever wants to know what would be without one of them.
    var tablesInUse: [(revision: SourceRevision, table: LeafTable)] {
        published.map { ($0.revision, $0.table) }
    }

    /// Keeps what is in use, whatever the sources say.
    ///
    /// - Returns: `false` while nothing is in use.
    func pin(_ command: Command) -> Bool {
        guard current != nil else { return false }
        if hold == nil {
            holdCurrent(OperatorState.Pin(generation: generation, command: command))
        } else {
            hold?.pin.command = command
        }
        return true
    }

    /// Goes back to the `documents` that `generation` was made of, and keeps that.
    func rollBack(
        to generation: UInt64,
        _ documents: [StoredDocument],
        _ command: Command
    ) throws(StageFailure) {
        var layers: [InUse] = []
        for stored in documents {
            let (decoded, revision) = try reexamine(stored)
            layers.append(
                InUse(
                    table: decoded.table,
                    revision: revision,
                    location: stored.location,
                    id: stored.id,
                    isJudged: false
                )
            )
        }
        hold = Hold(pin: OperatorState.Pin(generation: generation, command: command), layers: layers)
        _ = publishIfComplete(.rollback(generation), command: command)
    }

    private func reexamine(_ stored: StoredDocument) throws(StageFailure) -> (DecodedDocument, SourceRevision) {
        // Whatever its source was called, and whether there still is one.
        let revoked = stages.values.reduce(into: Set<KeyID>()) { $0.formUnion($1.verifier.policy?.ring.revoked ?? []) }
        if let key = stored.signature.flatMap({ try? SignatureFile(parsing: $0) })?.signatures.map(\.key)
            .first(where: { revoked.contains($0) }), stages[stored.source] == nil
        {
            throw StageFailure(
                .verify,
                "revoked_key",
                "source '\(stored.source)': key \(key), which signed it, is revoked"
            )
        }
        let stage = stages[stored.source] ?? Stage(ofRemoved: stored)
        let trace = Trace()
        let document = Stage.fetched(stored, validators: stored.validators, trace)
        let decoded = try decode(try verify(document, stage, .goingBack).document, stage)
        let revision = SourceRevision(
            source: stored.source,
            digest: decoded.digest,
            signed: decoded.signed,
            validators: stored.validators,
            fetchedAt: stored.fetchedAt,
            traceID: trace.text
        )
        return (decoded, revision)
    }

    /// Lets the sources say again what is in use.
    ///
    /// - Returns: the sources whose documents come into use with it.
    func unpin(_ command: Command) -> [SourceName] {
        guard hold != nil else { return [] }
        hold = nil
        guard publishIfComplete(.unpinned, command: command) else { return [] }
        defer { held = [] }
        return held.sorted()
    }

    /// Has what is commanded written, with the generation that it has made.
    ///
    /// - Returns: what is raised once it is on disk.
    func keepOperatorState() -> WakeSignal {
        store.keep(operatorState, layers: currentLayers, record: takeRecord())
    }

    /// From now on nothing that comes from a source changes anything; with `nil` it does again.
    func setFreeze(_ command: Command?) { freeze = command }

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
        store.keep(
            [stored],
            layers: currentLayers,
            versions: versions,
            record: takeRecord(),
            generation: current?.generation ?? 0
        )
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
        let isJudged = isKnownGood(decoded, stage)
        return isJudged ? revision : revision.withoutValidators
    }

    private func acceptAlone(
        _ fetched: FetchedDocument,
        _ stage: Stage
    ) throws(StageFailure) -> Verdict {
        let verdict = try verify(fetched, stage)
        let verified = verdict.document
        let fetchedAt = WallClock.nowNanoseconds
        if let held = documents.held(verified.source), held.revision.isSame(as: verified) {
            // The stored copy has not been held against the rules, which may be others now.
            if held.isLastGood, !stage.rules.isEmpty,
                let question = try judge(try decode(verified, stage), stage, before: nil)
            {
                return .awaits(question)
            }
            documents.confirm(verified.source, SourceRevision(verified, fetchedAt: fetchedAt))
            return .taken(.unchanged, verified.trace)
        }
        let decoded = try decode(verified, stage)
        let before = documents.held(verified.source)?.snapshot.count
        if let question = try judge(decoded, stage, before: before) { return .awaits(question) }
        let revision = SourceRevision(verified, fetchedAt: fetchedAt)
        note(verdict, stage)
        let document = alone(decoded.table, revision)
        // Told first, as with any publication.
        events(.documentLoaded(revision, keys: document.count, decoded.trace))
        documents.hold(document, revision, isLastGood: false)
        keep(decoded, stage, fetchedAt: fetchedAt)
        var trace = decoded.trace
        trace[.published] = now
        return .taken(.published, trace)
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

    /// What a source has offered, before anything about it is known for sure.
    fileprivate init?(offered document: FetchedDocument) {
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
    fileprivate func isSame(as document: VerifiedDocument) -> Bool {
        digest == document.digest && signed == document.signed
    }
}
