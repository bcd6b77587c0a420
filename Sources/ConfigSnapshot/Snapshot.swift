internal import struct Synchronization.Atomic

/// Which version of a source's document a snapshot holds.
public struct SourceRevision: Sendable, Hashable {
    public let source: SourceName
    public let digest: ContentDigest
    /// What its signature says; `nil` where none was required.
    public let signed: Signed?
    public private(set) var validators: Validators
    /// Nanoseconds since 1970 when the document was fetched.
    public let fetchedAt: Int64
    public let traceID: String

    public init(
        source: SourceName,
        digest: ContentDigest,
        signed: Signed? = nil,
        validators: Validators,
        fetchedAt: Int64,
        traceID: String
    ) {
        self.source = source
        self.digest = digest
        self.signed = signed
        self.validators = validators
        self.fetchedAt = fetchedAt
        self.traceID = traceID
    }

    /// The same document, of which its source has nothing to say that could be asked with.
    public var withoutValidators: SourceRevision {
        var revision = self
        revision.validators = .none
        return revision
    }

    /// What people see, and headers carry: the version that was signed; else the ETag without its quotes where it is a
    /// number of some kind or other; else the start of the digest. Any other text may be what the origin was sent, given
    /// back.
    public var label: String {
        if let signed { return "v\(signed.version)" }
        let text = validators.etag.map { $0.filter { $0 != "\"" } } ?? ""
        let isNumber = text.wholeMatch(of: /(?:W\/)?v?[0-9A-Fa-f.\-]{1,40}/) != nil
        return isNumber ? text : digest.short
    }
}

/// One consistent version of all configuration: immutable from the moment it is published.
///
/// Values are found by dotted key through a seeded hash index over one block of bytes. The seed is drawn anew for
/// each snapshot, so nobody can prepare keys that collide. Any number of threads may read at once.
public final class Snapshot: Sendable {
    // Before the others, in the line of the object's own head.
    /// No other snapshot of this process has or had it.
    @usableFromInline let identity: UInt64

    /// Counts publications: grows by one with each, never reused, also across restarts.
    public let generation: UInt64
    /// SHA-256 over all keys and values in key order: equal content, equal digest.
    public let digest: ContentDigest
    /// Nanoseconds since 1970.
    public let publishedAt: Int64
    /// One for each layer, in layer order: later ones win.
    public let sources: [SourceRevision]

    /// The merged leaves in key order.
    public let table: LeafTable
    /// For each leaf, the index in `sources` of the layer that gave it.
    private let owners: [UInt16]
    private let index: KeyIndex

    private static let lastIdentity = Atomic<UInt64>(0)

    /// - Parameters:
    ///   - merged: the content, from ``LayerMerge``.
    ///   - digest: the digest of that content.
    public init(
        generation: UInt64,
        merged: LayerMerge,
        digest: ContentDigest,
        publishedAt: Int64,
        sources: [SourceRevision]
    ) {
        // Relaxed: only that no two are alike.
        identity = Self.lastIdentity.add(1, ordering: .relaxed).newValue
        self.generation = generation
        self.digest = digest
        self.publishedAt = publishedAt
        self.sources = sources
        self.table = merged.table
        self.owners = merged.owners
        self.index = KeyIndex(of: merged.table)
    }

    /// A found value: its JSON, and the layer that gave it.
    public struct Value: Sendable {
        /// Compact JSON.
        public let json: ArraySlice<UInt8>
        /// `nil` for an object put together from several layers.
        public let source: SourceRevision?
    }

    public var count: Int { table.count }

    /// The leaf at exactly `key`, or the object below it.
    ///
    /// - Parameter key: a dotted key; the empty key is the whole configuration.
    /// - Returns: `nil` when there is nothing at or below `key`.
    public func value(at key: String) -> Value? {
        if let position = leafIndex(of: key) {
            let leaf = table.leaves[position]
            return Value(json: table.value(leaf), source: sources[Int(owners[position])])
        }
        let range = subtree(of: key)
        guard !range.isEmpty || key.isEmpty else { return nil }
        let owner = Set(range.map { owners[$0] })
        return Value(
            json: ArraySlice(ObjectWriter.json(of: table, range: range, below: key.utf8.count)),
            source: owner.count == 1 ? owner.first.map { sources[Int($0)] } : nil
        )
    }

    /// The position of the leaf at exactly `key` in `table.leaves`.
    public func leafIndex(of key: String) -> Int? {
        // Without a copy of the string where its bytes lie in one piece, as nearly always.
        if let found = key.utf8.withContiguousStorageIfAvailable({ leafIndex(of: UnsafeRawBufferPointer($0)) }) {
            return found
        }
        var key = key
        return key.withUTF8 { leafIndex(of: UnsafeRawBufferPointer($0)) }
    }

    /// The same for a key that is written down in the program.
    public func leafIndex(of key: StaticString) -> Int? {
        guard key.hasPointerRepresentation else { return leafIndex(of: "\(key)") }
        return leafIndex(of: UnsafeRawBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount))
    }

    /// The same for a key that is looked up again and again: as long as the snapshot is the one of the last time, this is
    /// a comparison.
    @inlinable
    @inline(__always)
    public func leafIndex(of key: inout RememberedKey) -> Int? {
        if key.identity == identity { return key.position >= 0 ? key.position : nil }
        return find(&key)
    }

    @usableFromInline
    @inline(never)
    func find(_ key: inout RememberedKey) -> Int? {
        let position = leafIndex(of: key.text)
        key.position = position ?? -1
        key.identity = identity
        return position
    }

    /// The same by the key's bytes in UTF-8.
    public func leafIndex(of key: UnsafeRawBufferPointer) -> Int? { index.find(key, in: table) }

    /// The layers, by their places in ``sources``, that gave the leaf at `key` or the leaves below it; in order.
    public func owners(of key: String) -> [Int] {
        if let position = leafIndex(of: key) { return [Int(owners[position])] }
        return Set(subtree(of: key).map { Int(owners[$0]) }).sorted()
    }

    /// The layer that gave the leaf at `position`.
    public func owner(ofLeaf position: Int) -> SourceRevision { sources[Int(owners[position])] }

    /// The leaves strictly below `key`; all of them for the empty key, none for one that is not well-formed.
    public func subtree(of key: String) -> Range<Int> {
        if key.isEmpty { return 0..<table.count }
        // `"a` is no ancestor of `"a.b"`, although its bytes stand before a dot.
        guard DottedKey.split(key.utf8) != nil else { return 0..<0 }
        var prefix = Array(key.utf8)
        prefix.append(DottedKey.dot)
        return table.bytes.withUnsafeBytes { raw in
            prefix.withUnsafeBytes { wanted in
                func bytes(_ position: Int) -> UnsafeRawBufferPointer {
                    UnsafeRawBufferPointer(rebasing: raw[table.leaves[position].key])
                }
                let start = partition(0, table.count) { DottedKey.compare(bytes($0), wanted) < 0 }
                let end = partition(start, table.count) { bytes($0).starts(with: wanted) }
                return start..<end
            }
        }
    }

    /// The first position in `low..<high` for which `isBefore` no longer holds.
    private func partition(_ low: Int, _ high: Int, _ isBefore: (Int) -> Bool) -> Int {
        var low = low
        var high = high
        while low < high {
            let middle = low + (high - low) / 2
            if isBefore(middle) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The keys most like `key`, nearest first: for the message that says a key does not exist.
    public func keys(near key: String, limit: Int = 3) -> [String] {
        NearestKeys.find(key, in: table, limit: limit)
    }
}
