internal import ConfigDecode
internal import ConfigFetch
internal import ConfigGuard
internal import ConfigPublish
internal import ConfigSnapshot
internal import ConfigTrust
internal import ConfigVerify
internal import LockLadder

/// What the documents of one source go through, under one plan.
struct Stage {
    let version: UInt64
    /// Whether its document stands by itself, and not among the layers.
    let isOnDemand: Bool
    let location: String
    let verifier: Verifier
    let decoder: DocumentDecoder
    let rules: GuardRules
    /// What a document may be at all, before any rules.
    let form: Form

    struct Form: Equatable {
        let maxBytes: Int
        let limits: DocumentDecoder.Limits
        let format: DocumentFormat?
    }

    init(_ source: AgentPlan.Source) {
        isOnDemand = source.fetch.isOnDemand
        version = source.fetch.version
        location = StoredDocument.location(url: source.fetch.location, unixSocket: source.fetch.unixSocket)
        verifier = Verifier(maxBytes: source.fetch.maxBytes, policy: source.fetch.policy)
        rules = source.rules
        form = Form(maxBytes: source.fetch.maxBytes, limits: source.limits, format: source.format)
        decoder = DocumentDecoder(
            limits: source.limits,
            format: source.format,
            urlPath: String(source.fetch.url.prefix { $0 != "?" && $0 != "#" })
        )
    }

    /// For a document that was accepted once, of a source that is no longer configured.
    init(ofRemoved stored: StoredDocument) {
        self.init(of: stored, version: 0, isOnDemand: false, location: stored.location, policy: nil)
    }

    /// For a document that was accepted once, when its source might have other limits: believed by the rules of now, and
    /// read whatever they allow.
    func wide(for stored: StoredDocument) -> Stage {
        Stage(of: stored, version: version, isOnDemand: isOnDemand, location: location, policy: verifier.policy)
    }

    private init(
        of stored: StoredDocument,
        version: UInt64,
        isOnDemand: Bool,
        location: String,
        policy: SignaturePolicy?
    ) {
        self.isOnDemand = isOnDemand
        self.version = version
        self.location = location
        form = Form(
            maxBytes: 1 << 30,
            limits: DocumentDecoder.Limits(maxDepth: 512, maxKeys: 10_000_000),
            format: stored.format
        )
        verifier = Verifier(maxBytes: form.maxBytes, policy: policy)
        rules = GuardRules()
        decoder = DocumentDecoder(limits: form.limits, format: form.format, urlPath: "")
    }

    /// Whether what this one believes is what the other did.
    func believes(as other: Stage?) -> Bool { verifier.policy == other?.verifier.policy }

    /// Whether what fulfilled the other's limits and rules fulfils these.
    func judges(as other: Stage?) -> Bool { rules == other?.rules && form == other?.form }

    static var now: UInt64 { MonotonicTime.now.nanoseconds }

    func decode(_ document: VerifiedDocument) throws(StageFailure) -> DecodedDocument {
        let bytes = document.body.count
        guard MemoryRoom.has(MemoryRoom.forDecoding(bytes)) else { throw .noMemory(.decode, bytes: bytes) }
        do throws(DecodeError) {
            return try decoder.decode(document, now: { Self.now })
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

    /// What of a document breaks the rules of its source.
    ///
    /// - Parameter before: how many values the one has that it is to follow; `nil` where there is none.
    func findings(in document: DecodedDocument, before: Int?) throws(StageFailure) -> Findings {
        if rules.isEmpty { return Findings() }
        var tree: DocumentNode?
        if rules.needsTree {
            do throws(DecodeError) { tree = try decoder.tree(of: document) } catch {
                throw .noMemory(.guarding, bytes: document.body.count)
            }
        }
        return rules.check(tree, count: document.table.count, before: before)
    }

    /// What is stored, in the form in which it came.
    static func fetched(_ stored: StoredDocument, validators: Validators, _ trace: Trace) -> FetchedDocument {
        FetchedDocument(
            source: stored.source,
            body: stored.body,
            signature: stored.signature,
            validators: validators,
            contentType: stored.format == .yaml ? "application/yaml" : "application/json",
            trace: trace
        )
    }
}
