internal import ConfigFetch
internal import ConfigGuard
internal import ConfigPublish
internal import ConfigSnapshot
internal import ConfigVerify

/// Documents that are no layer: loaded for whoever asks for them.
extension Assembly {
    /// Takes a stored copy into use for those who wait for its source, until that has answered.
    ///
    /// - Returns: what the source is to confirm; `nil` where the copy is not used.
    func restoreAlone(_ stored: StoredDocument) -> SourceRevision? {
        guard let stage = stages[stored.source], stage.isOnDemand, documents.held(stored.source) == nil,
            let (decoded, revision, isJudged) = readmit(stored, stage)
        else { return nil }
        documents.hold(alone(decoded.table, revision), revision, isLastGood: true)
        return isJudged ? revision : revision.withoutValidators
    }

    func acceptAlone(
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
}
