internal import ConfigFetch
internal import ConfigPublish
internal import ConfigSnapshot
internal import ConfigTrust
internal import ConfigVerify

/// What a start takes from the disk.
extension Assembly {
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
            // What is pinned is in force; behind it the layers wait, or those of before where the new ones are not complete.
            if hold != nil { hasBeenComplete = missing.isEmpty || restoreLayersOfBefore() || layersInForce != nil }
            // Neither what was pinned nor what was in use last can be had: then at least nothing changes from here on.
            if let pin, hold == nil { holdCurrent(OperatorState.Pin(generation: generation, command: pin.command)) }
            if isNews { _ = store.keep(operatorState) }
        } else {
            held = Set(inUse.keys)
            awaitedPin = pin.map { AwaitedPin(pin: $0, isToBeWritten: isNews) }
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
                // What is there may be had at another time.
                switch error {
                case .document(_, .file(let failure)): isPassing = isPassing || !failure.isMissing
                case .refused: isPassing = true
                case .notKept, .document: break
                }
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

    func restore(_ pin: OperatorState.Pin) throws(GenerationFault) {
        var layers: [InUse] = []
        for stored in try store.documents(of: pin.generation).documents {
            let stage = (stages[stored.source] ?? Stage(ofRemoved: stored)).wide(for: stored)
            do throws(StageFailure) {
                let (decoded, revision) = try examine(stored, stage)
                layers.append(InUse(stored, decoded, revision))
            } catch {
                throw .refused(stored.source, error.description)
            }
        }
        hold = Hold(pin: pin, layers: layers)
    }

    /// What was pinned is lost, and what has come is pinned in its place: then at least nothing changes from here on.
    func takePlace(of awaited: AwaitedPin) {
        awaitedPin = nil
        holdCurrent(OperatorState.Pin(generation: generation, command: awaited.pin.command))
        whenPinned(operatorState)
        if awaited.isToBeWritten { _ = store.keep(operatorState) }
    }

    func holdCurrent(_ pin: OperatorState.Pin) {
        hold = Hold(pin: pin, layers: published)
    }

    /// A stored copy goes through the same stages as a fetched document: the rules may have changed since.
    func restore(_ stored: StoredDocument) {
        if let stage = stages[stored.source] { restore(stored, stage) }
    }

    func restore(_ stored: StoredDocument, _ stage: Stage) {
        guard let (decoded, revision, isJudged) = readmit(stored, stage) else { return }
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

    /// Takes back what was accepted once. Rules and limits hold back what is new: it stays until something better comes, and
    /// where it does not fulfil them its source is asked for the whole of it, so that what is wrong with it is told.
    ///
    /// - Returns: with it, whether it is known to fulfil them; `nil` where it is not to be believed, which has been told.
    func readmit(_ stored: StoredDocument, _ stage: Stage) -> (DecodedDocument, SourceRevision, isJudged: Bool)? {
        do throws(StageFailure) {
            let (decoded, revision) = try examine(stored, stage)
            return (decoded, revision, isKnownGood(decoded, stage))
        } catch {}
        do throws(StageFailure) {
            let (decoded, revision) = try examine(stored, stage.wide(for: stored))
            return (decoded, revision, false)
        } catch {
            events(.sourceFailed(stored.source, error, inARow: 1, generation: generation))
            return nil
        }
    }

    private func examine(
        _ stored: StoredDocument,
        _ stage: Stage
    ) throws(StageFailure) -> (DecodedDocument, SourceRevision) {
        // Another place gives the same ETag another meaning.
        let validators = stored.location == stage.location ? stored.validators : .none
        var trace = Trace()
        trace[.requested] = now
        trace[.received] = now
        let document = Stage.fetched(stored, validators: validators, trace)
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
    }
}
