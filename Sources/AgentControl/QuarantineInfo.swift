internal import AgentAPI
internal import ConfigPublish
internal import ConfigSnapshot

extension QuarantineReport {
    init(_ quarantine: Quarantine) {
        self.init(documents: quarantine.documents.sorted { $0.last > $1.last }.map { QuarantinedDocument($0) })
    }
}

extension QuarantinedDocument {
    init(_ document: Quarantine.Document) {
        self.init(
            source: document.source.text,
            digest: document.digest.hex,
            reasons: document.reasons,
            count: document.count,
            since: WireTime(unixNanoseconds: document.since),
            last: WireTime(unixNanoseconds: document.last),
            times: document.times,
            accepted: document.accepted.map { CommandInfo($0) }
        )
    }
}
