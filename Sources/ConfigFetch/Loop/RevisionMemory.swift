internal import ConfigSnapshot
internal import ConfigTrust
internal import Crypto
internal import Curl

/// The documents that a source has given, as far as needed to tell an old one from a new one: places of one source may lag
/// behind one another.
struct RevisionMemory {
    /// What has come: its hash, and the time at which it was changed by its place's word, in seconds since 1970.
    struct Document: Equatable {
        /// `nil` for what was in use before the start.
        var hash: Int?
        let changedAt: Int64?
        let order: Validators.Order?
        let etag: String?
        /// Which of the source's places it came from; `nil` for one that the source has no more.
        var place: Int?
    }

    enum Verdict: Equatable {
        case fine
        /// It was in use before what is in use now, or is older by the places' own word.
        case older
        /// Another place has said other things under the same name.
        case disagrees(with: Int?)
    }

    /// What tells a document from others in every run: hashes are those of one process.
    struct Identity {
        /// Of the document itself.
        let digest: ContentDigest
        /// As it came.
        let signature: [UInt8]?
    }

    private static let mostRemembered = 64

    private(set) var current: Document?
    /// Of what was in use at the start, as long as its hash is not known.
    private var digest: ContentDigest?
    /// Knows what was in use before the start.
    private var past: SourcePast?
    /// The documents whose place in that past has been looked up: they are what this run has seen of them.
    private var lookedUp: [Int] = []
    private var replaced: [Int] = []

    /// What is to be made of `document`, before it goes any further.
    func judge(_ document: Document) -> Verdict {
        guard let current, document.hash != current.hash else { return .fine }
        // The place that has said last what is in use may take it back: that is a rollback at the source.
        guard document.place != current.place else { return .fine }
        if let etag = document.etag, etag == current.etag, !etag.hasPrefix("W/") {
            return .disagrees(with: current.place)
        }
        if let new = document.order, let old = current.order, new.series == old.series {
            if new.number == old.number { return .disagrees(with: current.place) }
            return new.number < old.number ? .older : .fine
        }
        if let hash = document.hash, replaced.contains(hash) { return .older }
        if let new = document.changedAt, let old = current.changedAt, new < old { return .older }
        return .fine
    }

    /// Goes on from a stored copy, as after a start.
    mutating func seed(_ stored: SourceRevision, _ past: SourcePast? = nil, places: [SourceSpec]) {
        let said = past?.said ?? stored.validators
        let isKnown = past != nil || said.etag != nil || said.lastModified != nil || said.order != nil
        guard current == nil, isKnown else { return }
        digest = stored.digest
        self.past = past
        current = Document(
            hash: nil,
            changedAt: said.lastModified.flatMap { CurlTransfer.date($0) },
            order: said.order,
            etag: said.name,
            place: said.mirror == nil ? 0 : places.firstIndex { $0.mirrorDigest == said.mirror }
        )
    }

    /// A document of this hash has come: it may be the one that was in use at the start, or one from before that.
    ///
    /// - Parameter identity: asked only while that is not known.
    mutating func recognise(_ hash: Int, identity: () -> Identity?) {
        guard digest != nil || past != nil, hash != current?.hash, !lookedUp.contains(hash), let identity = identity()
        else { return }
        lookedUp.append(hash)
        if lookedUp.count > Self.mostRemembered { lookedUp.removeFirst() }
        if identity.digest == digest {
            digest = nil
            guard current?.hash != nil else {
                current?.hash = hash
                return
            }
        } else if past?.knows(identity.digest, identity.signature) != true {
            return
        }
        noteReplaced(hash)
    }

    private mutating func noteReplaced(_ hash: Int) {
        replaced.removeAll { $0 == hash }
        replaced.append(hash)
        if replaced.count > Self.mostRemembered { replaced.removeFirst() }
    }

    /// `document` is in use from now on.
    mutating func accept(_ document: Document) {
        guard let known = current, known.hash == document.hash else {
            replaced.removeAll { $0 == document.hash }
            if let hash = current?.hash { noteReplaced(hash) }
            current = document
            return
        }
        // Whoever was left and comes back with something older is behind, even if it was the first to say this.
        current?.place = document.place ?? known.place
    }
}

extension Validators {
    /// By what other places know the document too: an ETag that was made within the second of the change may be that of
    /// another one.
    var name: String? { areYoung ? nil : etag }
}

extension SourceSpec {
    /// Tells a mirror from others in what is stored: URLs may hold secrets.
    var mirrorDigest: String? { ContentDigest(bytes: SHA256.hash(data: Array(url.utf8)))?.hex }
}
