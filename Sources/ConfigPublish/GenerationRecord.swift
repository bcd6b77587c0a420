public import ConfigSnapshot

/// What there is to say of a generation that was published, and where its documents are.
public struct GenerationRecord: Hashable, Sendable {
    /// What has made it another than the one before.
    public enum Cause: Hashable, Sendable {
        /// The stored copies, at a start.
        case start
        /// A document of this source.
        case source(SourceName)
        /// The agent's own configuration.
        case configuration
        /// Somebody went back to that generation.
        case rollback(UInt64)
        /// What had been held back came into use.
        case unpinned
    }

    /// A document that it was made of.
    public struct Layer: Hashable, Sendable {
        public var source: SourceName
        public var id: DocumentID
        /// Its revision, as it was shown.
        public var label: String
        /// Nanoseconds since 1970.
        public var fetchedAt: Int64

        public init(source: SourceName, id: DocumentID, label: String, fetchedAt: Int64) {
            self.source = source
            self.id = id
            self.label = label
            self.fetchedAt = fetchedAt
        }
    }

    public var generation: UInt64
    /// The later generations with the same content, oldest first: each start of the agent makes one. Of very many the newest.
    public private(set) var starts: [UInt64] = []
    /// Nanoseconds since 1970.
    public var publishedAt: Int64
    /// Of all keys and values.
    public var digest: ContentDigest
    public var keys: Int
    public var cause: Cause
    /// Whose doing it was, where it was somebody's.
    public var command: Command?
    /// First one first.
    public var layers: [Layer]

    public init(
        generation: UInt64,
        publishedAt: Int64,
        digest: ContentDigest,
        keys: Int,
        cause: Cause,
        command: Command? = nil,
        layers: [Layer]
    ) {
        self.generation = generation
        self.publishedAt = publishedAt
        self.digest = digest
        self.keys = keys
        self.cause = cause
        self.command = command
        self.layers = layers
    }

    /// The newest generation with this content.
    public var last: UInt64 { starts.last ?? generation }

    /// Whether `number` had this content. The numbers between those that had it were another's, or nobody's: what a crash
    /// has taken with it is not to be had under the number of something else.
    public func has(_ number: UInt64) -> Bool { number == generation || starts.contains(number) }

    /// A start has made this content the generation `number`.
    ///
    /// - Parameter pinned: is remembered in any case.
    public mutating func noteStart(_ number: UInt64, keeping pinned: UInt64?) {
        starts.append(number)
        while starts.count > Self.mostStarts, let oldest = starts.firstIndex(where: { $0 != pinned }) {
            starts.remove(at: oldest)
        }
    }

    private static let mostStarts = 256

    // MARK: As a file

    private static let title = "config-agent generation 2"

    var bytes: [UInt8] {
        var text = FieldText(Self.title)
        text.add("generation", generation)
        if !starts.isEmpty { text.add("starts", starts.map(String.init).joined(separator: " ")) }
        text.add("published-at", publishedAt)
        text.add("digest", digest)
        text.add("keys", keys)
        text.add("cause", cause.text)
        if let command { text.add(command, as: "by") }
        for layer in layers { text.add("layer", "\(layer.source) \(layer.id) \(layer.fetchedAt) \(layer.label)") }
        return text.bytes
    }

    init?(parsing bytes: [UInt8]) {
        guard let text = FieldText(Self.title, parsing: bytes),
            let generation = text.first("generation").flatMap({ UInt64(generation: $0) }),
            let publishedAt = text.first("published-at").flatMap({ Int64(time: $0) }),
            let digest = text.first("digest").flatMap({ ContentDigest(text: $0) }),
            let keys: Int = text.number("keys"), let cause = text.first("cause").flatMap({ Cause($0) })
        else { return nil }
        let lines = text.all("layer")
        layers = lines.compactMap { Layer($0) }
        let numbers = (text.first("starts") ?? "").split(separator: " ")
        starts = numbers.compactMap { UInt64(generation: $0) }
        guard layers.count == lines.count, starts.count == numbers.count,
            zip([generation] + starts, starts).allSatisfy({ $0 < $1 })
        else { return nil }
        self.generation = generation
        self.publishedAt = publishedAt
        self.digest = digest
        self.keys = keys
        self.cause = cause
        command = text.command("by")
    }
}

extension GenerationRecord.Layer {
    fileprivate init?(_ line: String) {
        let words = FieldText.words(line, atMost: 4)
        guard words.count == 4, let source = SourceName(String(words[0])), let id = DocumentID(words[1]),
            let fetchedAt = Int64(time: words[2])
        else { return nil }
        self.init(source: source, id: id, label: String(words[3]), fetchedAt: fetchedAt)
    }
}

extension GenerationRecord.Cause {
    /// `start`, `source app`, `configuration`, `rollback 41`, `unpinned`.
    public var text: String {
        switch self {
        case .start: "start"
        case .source(let name): "source \(name)"
        case .configuration: "configuration"
        case .rollback(let generation): "rollback \(generation)"
        case .unpinned: "unpinned"
        }
    }

    fileprivate init?(_ text: String) {
        let words = text.split(separator: " ").map(String.init)
        switch (words.first, words.dropFirst().first) {
        case ("start", nil): self = .start
        case ("configuration", nil): self = .configuration
        case ("unpinned", nil): self = .unpinned
        case ("source", let name?):
            guard let name = SourceName(name) else { return nil }
            self = .source(name)
        case ("rollback", let number?):
            guard let number = UInt64(generation: number) else { return nil }
            self = .rollback(number)
        default: return nil
        }
    }
}

extension FieldText {
    mutating func add(_ command: Command, as name: String) {
        add(name, "\(command.at) \(command.by.uid) \(command.by.pid) \(command.by.user ?? "")")
        if let reason = command.reason { add("\(name)-reason", reason) }
    }

    func command(_ name: String) -> Command? {
        let words = Self.words(first(name) ?? "", atMost: 4)
        guard words.count == 4, let at = Int64(time: words[0]), let uid = UInt32(words[1]), let pid = Int32(words[2])
        else {
            return nil
        }
        let user = words[3].isEmpty ? nil : String(words[3])
        return Command(by: Actor(uid: uid, pid: pid, user: user), at: at, reason: first("\(name)-reason"))
    }
}
