/// The answer to `POST /v1/reload`, given when the new configuration was taken over.
public struct ReloadReport: Codable, Sendable, Hashable {
    /// The newest generation; 0 when there is none yet.
    public var generation: UInt64
    /// Sources that are new. They are asked from now on; readers see the new layers once all required ones are there.
    public var added: [String]
    /// Sources that are gone.
    public var removed: [String]
    /// Sources that differ, and in which settings.
    public var changed: [ChangedSource]
    /// How many sources are as before, and were not disturbed.
    public var unchanged: Int
    /// Settings of the agent itself that differ.
    public var settings: [String]
    /// Required sources that have not given a document yet: the new layers come into force once all are there.
    public var awaited: [String]

    enum CodingKeys: String, CodingKey {
        case generation
        case added
        case removed
        case changed
        case unchanged
        case settings
        case awaited
    }

    public init(
        generation: UInt64,
        added: [String],
        removed: [String],
        changed: [ChangedSource],
        unchanged: Int,
        settings: [String],
        awaited: [String]
    ) {
        self.awaited = awaited
        self.generation = generation
        self.added = added
        self.removed = removed
        self.changed = changed
        self.unchanged = unchanged
        self.settings = settings
    }
}

/// A source whose configuration is another one after a reload.
public struct ChangedSource: Codable, Sendable, Hashable {
    /// Its name.
    public var name: String
    /// The settings that differ.
    public var settings: [String]

    enum CodingKeys: String, CodingKey {
        case name
        case settings
    }

    public init(name: String, settings: [String]) {
        self.name = name
        self.settings = settings
    }
}
