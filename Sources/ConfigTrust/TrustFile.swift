public import ConfigSnapshot
internal import Crypto

/// Which trust file it is, and how new.
public struct TrustVersion: Hashable, Sendable {
    /// The digest of its first section, by which the file is known for good.
    public var root: ContentDigest
    public var version: UInt64

    public init(root: ContentDigest, version: UInt64) {
        self.root = root
        self.version = version
    }
}

/// Which keys are believed, in one file that vouches for itself: each section is signed by the roots of the one before it,
/// so that whoever knows the first one can believe the last.
public struct TrustFile: Hashable, Sendable {
    /// One version of what is believed.
    public struct Section: Hashable, Sendable {
        public var version: UInt64
        /// Who may sign the next section, and how many of them have to.
        public var roots: [PublicKey]
        public var rootThreshold: Int
        /// Who may sign documents, and how many of them have to.
        public var keys: [PublicKey]
        public var threshold: Int
        public var revoked: [KeyID]
        public var signatures: [SignatureFile.Signature] = []

        public init(
            version: UInt64,
            roots: [PublicKey],
            rootThreshold: Int,
            keys: [PublicKey],
            threshold: Int,
            revoked: [KeyID]
        ) {
            self.version = version
            self.roots = roots
            self.rootThreshold = rootThreshold
            self.keys = keys
            self.threshold = threshold
            self.revoked = revoked
        }

        /// The bytes that are signed.
        public var text: String {
            var lines = [
                TrustFile.title, "version: \(version)", "root-threshold: \(rootThreshold)", "threshold: \(threshold)",
            ]
            lines += roots.map { "root: \(Base64.encode($0.raw))" }
            lines += keys.map { "key: \(Base64.encode($0.raw))" }
            lines += revoked.map { "revoked: \($0)" }
            return lines.joined(separator: "\n") + "\n"
        }

        /// How many of `roots` have signed this section.
        func signers(among roots: [PublicKey]) -> Int {
            let bytes = Array(text.utf8)
            return roots.count { root in
                signatures.contains { $0.key == root.id && root.verifies($0.bytes, under: bytes) }
            }
        }
    }

    public private(set) var sections: [Section]

    static let title = "config-agent trust 1"
    /// Bytes of the whole file.
    public static let largest = 1 << 20

    public init(_ sections: [Section]) { self.sections = sections }

    /// As it is written to a file.
    public var text: String {
        sections.map { section in
            section.text + section.signatures.map { "signature: \($0.key) \(Base64.encode($0.bytes))\n" }.joined()
        }.joined(separator: "\n")
    }

    /// Reads what ``text`` makes, and nothing else. Believes nothing of it yet: see ``verified(from:)``.
    public init(parsing bytes: [UInt8]) throws(TrustError) {
        guard bytes.count <= Self.largest, let text = String(validating: bytes, as: UTF8.self) else {
            throw TrustError("the trust file is not text of at most \(Self.largest) bytes")
        }
        guard text.hasSuffix("\n") else { throw TrustError("the trust file is cut off") }
        var sections: [Section] = []
        var lines: [Substring] = []
        // A section ends at an empty line, and the last one with the file.
        let all: [Substring] = text.dropLast().split(separator: "\n", omittingEmptySubsequences: false)
        for line in all + [Substring("")] {
            if !line.isEmpty {
                lines.append(line)
                continue
            }
            sections.append(try Section(parsing: lines[...]))
            lines = []
        }
        self.init(sections)
    }

    /// The digest by which this file is known: of its first section.
    public var root: ContentDigest? {
        sections.first.flatMap { ContentDigest(bytes: SHA256.hash(data: Array($0.text.utf8))) }
    }

    /// What its last section says, once each has been found to be signed by the roots of the one before.
    ///
    /// - Parameter root: the digest of the first section, which nothing in the file can vouch for.
    public func verified(
        from root: ContentDigest
    ) throws(TrustError) -> (ring: KeyRing, threshold: Int, version: TrustVersion) {
        guard let first = sections.first, let last = sections.last, self.root == root else {
            throw TrustError("the trust file does not begin with the section that is known as \(root)")
        }
        try Self.checkSigned(first, by: first, "its own roots")
        for (before, section) in zip(sections, sections.dropFirst()) {
            guard section.version > before.version else {
                throw TrustError("version \(section.version) of the trust file stands behind version \(before.version)")
            }
            try Self.checkSigned(section, by: before, "the roots of version \(before.version)")
            try Self.checkSigned(section, by: section, "its own roots")
        }
        return (
            KeyRing(keys: last.keys, revoked: Set(last.revoked)), last.threshold,
            TrustVersion(root: root, version: last.version)
        )
    }

    private static func checkSigned(_ section: Section, by other: Section, _ whom: String) throws(TrustError) {
        let count = section.signers(among: other.roots)
        guard count >= other.rootThreshold else {
            throw TrustError(
                "version \(section.version) of the trust file is signed by \(count) of \(whom), and "
                    + "\(other.rootThreshold) have to"
            )
        }
    }
}

extension TrustFile.Section {
    fileprivate init(parsing all: ArraySlice<Substring>) throws(TrustError) {
        var lines = all
        guard lines.popFirst() == Substring(TrustFile.title) else {
            throw TrustError("a section of the trust file does not begin with '\(TrustFile.title)'")
        }
        func number(_ name: String) throws(TrustError) -> UInt64 {
            guard let line = lines.popFirst(), line.hasPrefix(name + ": "),
                let number = UInt64(line.dropFirst(name.utf8.count + 2)), "\(name): \(number)" == line
            else { throw TrustError("a section of the trust file has no '\(name)' in its place") }
            return number
        }
        func values(_ name: String) -> [Substring] {
            var values: [Substring] = []
            while let line = lines.first, line.hasPrefix(name + ": ") {
                values.append(line.dropFirst(name.utf8.count + 2))
                lines.removeFirst()
            }
            return values
        }
        let version = try number("version")
        let rootThreshold = try number("root-threshold")
        let threshold = try number("threshold")
        let roots = try Self.keys(values("root"))
        let keys = try Self.keys(values("key"))
        let revocations = values("revoked")
        let revoked = revocations.compactMap { KeyID($0) }
        let signatures = values("signature").map { SignatureFile.Signature(line: $0) }
        guard lines.isEmpty, revoked.count == revocations.count, !signatures.contains(nil) else {
            throw TrustError("a line of version \(version) of the trust file is none, or not in its place")
        }
        guard rootThreshold >= 1, rootThreshold <= roots.count, threshold >= 1, threshold <= keys.count else {
            throw TrustError("a threshold of version \(version) of the trust file is 0, or more than there are keys")
        }
        self.init(
            version: version,
            roots: roots,
            rootThreshold: Int(rootThreshold),
            keys: keys,
            threshold: Int(threshold),
            revoked: revoked
        )
        self.signatures = signatures.compactMap(\.self)
    }

    private static func keys(_ texts: [Substring]) throws(TrustError) -> [PublicKey] {
        let keys = texts.compactMap { Base64.decode($0).flatMap { PublicKey(raw: $0) } }
        guard keys.count == texts.count, Set(keys).count == keys.count else {
            throw TrustError("a key of the trust file is none, or stands there twice")
        }
        return keys
    }
}
