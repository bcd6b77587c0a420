internal import ConfigDecode
internal import ConfigGuard
internal import ConfigPublish
internal import ConfigSnapshot
internal import LockLadder

/// What rules have refused, for whoever asks; changed by the pipeline alone.
///
/// Thread-safe.
final class QuarantineBook: Sendable {
    private let contents = Mutex("agent.quarantine", Quarantine())
    private let store: Store

    init(_ store: Store) { self.store = store }

    var current: Quarantine { contents.withLock { $0 } }

    /// Takes over what an earlier run has left.
    func load() throws(StoredDocumentFault) {
        let loaded = try store.loadQuarantine()
        contents.withLock { $0 = loaded }
    }

    /// A document is taken, and by no word of an operator's: what was said against it does not hold any more.
    func forget(_ document: DecodedDocument) {
        let changed = contents.withLock { $0.forget(document.source, document.digest) ? $0 : nil }
        if let changed { store.keep(changed) }
    }

    /// Whether it is taken whatever rules say.
    func hasAccepted(_ document: DecodedDocument) -> Bool { acceptance(of: document) != nil }

    /// By whose word it is taken all the same.
    func acceptance(of document: DecodedDocument) -> Command? {
        contents.withLock { $0.acceptance(of: document.source, document.digest) }
    }

    /// Lets a document pass, or says why it does not.
    func examine(_ document: DecodedDocument, _ findings: Findings) throws(StageFailure) {
        guard !findings.isEmpty else { return }
        let (source, digest) = (document.source, document.digest)
        let now = WallClock.nowNanoseconds
        let (isAccepted, isNews, all) = contents.withLock { quarantine in
            if quarantine.acceptance(of: source, digest) != nil { return (true, false, quarantine) }
            let reasons = findings.first.map(\.description)
            let isNews = quarantine.note(source, digest, reasons: reasons, count: findings.count, at: now)
            return (false, isNews, quarantine)
        }
        if isAccepted { return }
        if isNews { store.keep(all) }
        let more = findings.count > 1 ? ", and \(findings.count - 1) more" : ""
        throw StageFailure(
            .guarding,
            "refused",
            "\(findings.first.first?.description ?? "")\(more)",
            hint: "mend the document at its source; all of it: agentctl quarantine; to take it as it is: "
                + "agentctl accept \(digest.short) --reason TEXT"
        )
    }

    /// Takes a document all the same, from when its source says it again.
    ///
    /// - Returns: `false` where so many others were refused meanwhile that it is forgotten.
    func accept(_ document: Quarantine.Document, _ command: Command) -> Bool {
        let all = contents.withLock { $0.accept(document, command) ? $0 : nil }
        if let all { store.keep(all) }
        return all != nil
    }
}
