/// What sort of rung a figure belongs to.
public enum LockKind: String, Sendable, CaseIterable {
    case mutex
    /// A read-write lock.
    case rwlock
    /// An initialisation that happens once.
    case once
    /// A group of flights: to "wait" is to share another caller's flight.
    case flight
}

/// How a lock was wanted.
public enum LockMode: String, Sendable {
    case exclusive
    case shared
}
