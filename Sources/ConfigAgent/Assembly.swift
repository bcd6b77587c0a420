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
    }

    private let plan: AgentPlan
    private let stages: [SourceName: (verifier: Verifier, decoder: DocumentDecoder)]
    private let locations: [SourceName: String]
    private let publisher: Publisher
    private let store: Store
    private let events: @Sendable (AgentEvent) -> Void
    private var inUse: [SourceName: InUse] = [:]
    private var generation: UInt64
    private var current: Snapshot?
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
        locations = Dictionary(
            uniqueKeysWithValues: plan.sources.map { source in
                let location = StoredDocument.location(url: source.fetch.url, unixSocket: source.fetch.unixSocket)
                return (source.fetch.name, location)
            }
        )
        stages = Dictionary(
            uniqueKeysWithValues: plan.sources.map { source in
                let decoder = DocumentDecoder(
                    limits: source.limits,
                    format: source.format,
                    urlPath: String(source.fetch.url.prefix { $0 != "?" && $0 != "#" })
                )
                return (source.fetch.name, (Verifier(maxBytes: source.fetch.maxBytes), decoder))
            }
        )
    }

    private var now: UInt64 { MonotonicTime.now.nanoseconds }

    // MARK: At the start

    /// Takes the stored copies into use and publishes them, as far as every required source has one.
    ///
    /// - Returns: the revisions in use.
    func restore() -> [SourceName: SourceRevision] {
        for source in plan.sources {
            let name = source.fetch.name
            do throws(StoredDocumentFault) {
                guard let stored = try store.load(name) else { continue }
                restore(stored)
            } catch {
                events(.storedCopyUnusable(name, error))
            }
        }
        if publishIfComplete(cause: nil, trace: nil) {
            store.noteDurable(generation)
        } else {
            held = Set(inUse.keys)
        }
        return inUse.mapValues(\.revision)
    }

    /// A stored copy goes through the same stages as a fetched document: the rules may have changed since.
    private func restore(_ stored: StoredDocument) {
        guard let stage = stages[stored.source] else { return }
        // Another place gives the same ETag another meaning.
        let validators = stored.location == locations[stored.source] ? stored.validators : .none
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
            inUse[stored.source] = InUse(table: decoded.table, revision: revision)
            events(.lastGoodUsed(revision))
        } catch {
            events(.sourceFailed(stored.source, error, inARow: 1, generation: generation))
        }
    }

    // MARK: Documents

    /// Takes one result through the stages.
    func process(_ source: SourceName, _ result: FetchResult) -> FlightOutcome {
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
                (kind, trace) = try accept(document)
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

    private func accept(_ fetched: FetchedDocument) throws(StageFailure) -> (FlightOutcome.Kind, Trace) {
        let name = fetched.source
        guard let stage = stages[name] else {
            throw StageFailure(.verify, "unknown_source", "no source has this name")
        }
        let verified = try verify(fetched, stage)
        let fetchedAt = WallClock.nowNanoseconds
        if var same = inUse[name], same.revision.digest == verified.digest {
            confirm(&same, verified, fetchedAt: fetchedAt)
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
        inUse[name] = InUse(table: decoded.table, revision: revision)
        let isNew = publishIfComplete(cause: revision, trace: decoded.trace)
        keep(decoded, fetchedAt: fetchedAt)
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
    private func confirm(_ same: inout InUse, _ verified: VerifiedDocument, fetchedAt: Int64) {
        guard same.revision.validators != verified.validators else { return }
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
        _ stage: (verifier: Verifier, decoder: DocumentDecoder)
    ) throws(StageFailure) -> VerifiedDocument {
        try stage.verifier.verify(document, now: { self.now })
    }

    private func decode(
        _ document: VerifiedDocument,
        _ stage: (verifier: Verifier, decoder: DocumentDecoder)
    ) throws(StageFailure) -> DecodedDocument {
        do throws(DecodeError) {
            return try stage.decoder.decode(document, now: { self.now })
        } catch {
            throw StageFailure(
                .decode,
                error.code.rawValue,
                error.description,
                hint: "mend the document at its source; what was in use before stays in use"
            )
        }
    }

    private func decode(
        _ document: FetchedDocument,
        _ stage: (verifier: Verifier, decoder: DocumentDecoder)
    ) throws(StageFailure) -> DecodedDocument {
        try decode(try verify(document, stage), stage)
    }

    // MARK: Publishing

    /// Merges the layers and publishes the result, unless a required source is missing or nothing has changed.
    private func publishIfComplete(cause: SourceRevision?, trace: Trace?) -> Bool {
        guard plan.sources.allSatisfy({ !$0.isRequired || inUse[$0.fetch.name] != nil }) else { return false }
        let layers = plan.sources.compactMap { inUse[$0.fetch.name] }
        guard !layers.isEmpty else { return false }
        let merged = LayerMerge(layers.map(\.table))
        let digest = merged.table.contentDigest
        guard digest != current?.digest else { return false }
        generation += 1
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

    private func keep(_ document: DecodedDocument, fetchedAt: Int64) {
        let stored = StoredDocument(
            source: document.source,
            location: locations[document.source] ?? "",
            body: document.body,
            format: document.format,
            validators: document.validators.areYoung ? .none : document.validators,
            digest: document.digest,
            fetchedAt: fetchedAt,
            generation: generation
        )
        store.keep([stored], generation: current?.generation ?? 0)
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
