public import ConfigSnapshot

/// The highest version that each key has signed, of each source, and of each trust file: nothing older is accepted again.
///
/// By key, because a stolen key can sign any version: once it is trusted no more, what it has signed binds nobody.
public struct VersionMarks: Hashable, Sendable {
    public struct Mark: Hashable, Sendable {
        public var version: UInt64
        public var digest: ContentDigest

        public init(version: UInt64, digest: ContentDigest) {
            self.version = version
            self.digest = digest
        }
    }

    public private(set) var marks: [SourceName: [KeyID: Mark]] = [:]
    /// By the digest of the trust file's first section.
    public private(set) var trust: [ContentDigest: UInt64] = [:]

    /// Keys of one source that are kept in mind: of those that are trusted no more, only so many.
    private static let mostKeys = 64

    public init() {}

    public var isEmpty: Bool { marks.isEmpty && trust.isEmpty }

    /// Whether an envelope may be accepted after all that was.
    ///
    /// - Throws: in the verify stage: `older_version`, `same_version` for one that was accepted with another document,
    ///   `older_trust`.
    public func check(_ accepted: SignaturePolicy.Accepted, _ policy: SignaturePolicy) throws(StageFailure) {
        if let used = policy.trust, let highest = trust[used.root], used.version < highest {
            throw StageFailure(
                .verify,
                "older_trust",
                "the trust file has version \(used.version), and version \(highest) was used before",
                hint: "put the newer trust file back: the older one may believe a key that is revoked"
            )
        }
        let envelope = accepted.envelope
        let trusted = policy.ring.trusted
        let believed = marks[envelope.source, default: [:]].filter { trusted.contains($0.key) }.values
        guard let highest = believed.max(by: { $0.version < $1.version }) else { return }
        if envelope.version < highest.version {
            throw StageFailure(
                .verify,
                "older_version",
                "version \(envelope.version) is older than version \(highest.version), which was accepted before",
                hint: "nothing has to be done if the origin lags; to go back, sign the old document as a new version"
            )
        }
        if envelope.version == highest.version,
            believed.contains(where: { $0.version == highest.version && $0.digest != envelope.digest })
        {
            throw StageFailure(
                .verify,
                "same_version",
                "version \(envelope.version) was accepted before with another document",
                hint:
                    "sign each document with a version of its own; if nobody has signed this one, a key is in wrong hands"
            )
        }
    }

    /// Keeps in mind what was accepted.
    ///
    /// - Returns: whether that is news.
    @discardableResult
    public mutating func note(_ accepted: SignaturePolicy.Accepted, _ policy: SignaturePolicy) -> Bool {
        var isNews = false
        if let used = policy.trust, note(used) { isNews = true }
        let envelope = accepted.envelope
        let mark = Mark(version: envelope.version, digest: envelope.digest)
        for key in accepted.signers where raise(envelope.source, key, to: mark) { isNews = true }
        prune(envelope.source, keeping: policy.ring.trusted)
        return isNews
    }

    /// Keeps in mind which trust file is in force.
    ///
    /// - Returns: whether that is news.
    public mutating func note(_ used: TrustVersion) -> Bool {
        guard trust[used.root, default: 0] < used.version else { return false }
        trust[used.root] = used.version
        return true
    }

    /// The higher of each.
    public mutating func merge(_ other: VersionMarks) {
        for (source, marks) in other.marks {
            for (key, mark) in marks { _ = raise(source, key, to: mark) }
        }
        trust.merge(other.trust) { max($0, $1) }
    }

    private mutating func raise(_ source: SourceName, _ key: KeyID, to mark: Mark) -> Bool {
        if let known = marks[source]?[key], known.version >= mark.version { return false }
        marks[source, default: [:]][key] = mark
        return true
    }

    private mutating func prune(_ source: SourceName, keeping trusted: Set<KeyID>) {
        guard let known = marks[source], known.count > Self.mostKeys else { return }
        let surplus = known.filter { !trusted.contains($0.key) }.sorted { $0.value.version < $1.value.version }
        for (key, _) in surplus.prefix(known.count - Self.mostKeys) { marks[source]?[key] = nil }
    }

    // MARK: As a file

    static let title = "config-agent versions 1"
    private static let end = "end"

    /// As lines of text, in order.
    public var text: String {
        var lines = [Self.title]
        for (root, version) in trust.sorted(by: { $0.key.hex < $1.key.hex }) {
            lines.append("trust: \(root) \(version)")
        }
        for (source, marks) in marks.sorted(by: { $0.key < $1.key }) {
            for (key, mark) in marks.sorted(by: { $0.key < $1.key }) {
                lines.append("version: \(source) \(key) \(mark.version) \(mark.digest)")
            }
        }
        return (lines + [Self.end]).joined(separator: "\n") + "\n"
    }

    /// Reads what ``text`` makes, and nothing else: half of it is none of it.
    public init(parsing bytes: [UInt8]) throws(TrustError) {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw TrustError("not text") }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count >= 3, lines[0] == Self.title, lines[lines.count - 2] == Self.end, lines.last == "" else {
            throw TrustError("not a whole list of versions")
        }
        for line in lines[1..<(lines.count - 2)] {
            let words = line.split(separator: " ", omittingEmptySubsequences: false)
            if words.count == 3, words[0] == "trust:", let root = ContentDigest(text: words[1]),
                let version = UInt64(words[2])
            {
                trust[root] = version
            } else if words.count == 5, words[0] == "version:", let source = SourceName(String(words[1])),
                let key = KeyID(words[2]), let version = UInt64(words[3]), let digest = ContentDigest(text: words[4])
            {
                marks[source, default: [:]][key] = Mark(version: version, digest: digest)
            } else {
                throw TrustError("a line of the list of versions is none")
            }
        }
    }
}
