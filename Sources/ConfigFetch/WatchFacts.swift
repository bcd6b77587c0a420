public import ConfigSnapshot

/// What is known of the watch by which a source tells of changes.
public struct WatchFacts: Sendable {
    /// Whether the source is being listened to.
    public private(set) var isOpen = false
    /// Since when that is so; nanoseconds since 1970.
    public private(set) var since: Int64 = 0
    /// Changes that were told.
    public internal(set) var changes: UInt64 = 0
    public private(set) var failures: UInt64 = 0
    public private(set) var lastFailure: (failure: StageFailure, at: Int64)?

    public init() {}

    mutating func open() {
        if !isOpen { since = WallClock.nowNanoseconds }
        isOpen = true
    }

    mutating func close() {
        if isOpen { since = WallClock.nowNanoseconds }
        isOpen = false
    }

    mutating func fail(_ failure: StageFailure) {
        let now = WallClock.nowNanoseconds
        if isOpen || since == 0 { since = now }
        isOpen = false
        failures += 1
        lastFailure = (failure, now)
    }
}
