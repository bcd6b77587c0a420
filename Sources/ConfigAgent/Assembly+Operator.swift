internal import ConfigPublish
internal import ConfigSnapshot
internal import ConfigTrust
internal import ConfigVerify
internal import LockLadder

/// What operators command.
extension Assembly {
    var newestGeneration: UInt64 { current?.generation ?? 0 }

    /// What is in use of each layer.
    var runningRevisions: [SourceName: SourceRevision] {
        Dictionary(published.map { ($0.revision.source, $0.revision) }) { first, _ in first }
    }

    var operatorState: OperatorState { OperatorState(pin: hold?.pin ?? awaitedPin?.pin, freeze: freeze) }

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
            layers.append(InUse(stored, decoded, revision))
        }
        awaitedPin = nil
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
        awaitedPin = nil
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
}
