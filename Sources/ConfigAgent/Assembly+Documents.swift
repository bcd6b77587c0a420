internal import ConfigFetch
internal import ConfigGuard
internal import ConfigPublish
internal import ConfigSnapshot
internal import ConfigTrust
internal import ConfigVerify

/// The way of a document of a layer: believed, decoded, held against its rules, in use.
extension Assembly {
    /// How far a result has come.
    enum Progress {
        case done(FlightOutcome)
        /// It waits for an answer to this, and is to come again then.
        case checking(DocumentChecks.Question)
    }

    /// What has become of a document.
    enum Verdict {
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

    func revision(of source: SourceName) -> SourceRevision? {
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
        let word = quarantine.acceptance(of: decoded)
        let isNew = publishIfComplete(.source(name), by: revision, trace: decoded.trace, command: word)
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
    func judge(
        _ document: DecodedDocument,
        _ stage: Stage,
        before: Int?
    ) throws(StageFailure) -> DocumentChecks.Question? {
        try quarantine.examine(document, try stage.findings(in: document, before: before))
        guard let check = stage.rules.check, !quarantine.hasAccepted(document) else {
            quarantine.forget(document)
            return nil
        }
        switch checks.answer(for: document.source, document.digest, check) {
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
        case .notRun(let why, let advice):
            throw StageFailure(.guarding, "check_not_run", "its check could not be run: \(why)", hint: advice)
        }
    }

    /// Whether a stored document is known to fulfil the rules as they are now. A command is not asked at a start, which would
    /// wait for it: it is once the source has said the document again.
    func isKnownGood(_ document: DecodedDocument, _ stage: Stage) -> Bool {
        guard stage.rules.check == nil else { return false }
        do throws(StageFailure) {
            _ = try judge(document, stage, before: nil)
            return true
        } catch { return false }
    }

    /// The bytes in use came again, perhaps under a new ETag.
    func confirm(_ same: inout InUse, _ verified: VerifiedDocument, _ stage: Stage, fetchedAt: Int64) {
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
    func verify(_ document: FetchedDocument, _ stage: Stage) throws(StageFailure) -> Verifier.Verdict {
        let verdict = try verify(document, stage, .taking(at: WallClock.nowNanoseconds / 1_000_000_000))
        if let accepted = verdict.accepted, let policy = stage.verifier.policy { try versions.check(accepted, policy) }
        return verdict
    }

    func verify(
        _ document: FetchedDocument,
        _ stage: Stage,
        _ moment: SignaturePolicy.Moment
    ) throws(StageFailure) -> Verifier.Verdict {
        try stage.verifier.verify(document, moment, now: { Stage.now })
    }

    /// The trust files in force: from now on none that is older.
    func noteTrust() {
        let isNews = stages.values.compactMap(\.verifier.policy?.trust).map { versions.note($0) }.contains(true)
        if isNews { store.keep([], layers: nil, versions: versions, generation: 0) }
    }

    /// A document is in use: from now on none of its source that is older.
    func note(_ verdict: Verifier.Verdict, _ stage: Stage) {
        if let accepted = verdict.accepted, let policy = stage.verifier.policy { versions.note(accepted, policy) }
    }

    func decode(
        _ document: VerifiedDocument,
        _ stage: Stage
    ) throws(StageFailure) -> DecodedDocument { try stage.decode(document) }
}
