import LockLadder

/// The one observer of contention that a process may install, shared by all tests: each listens to locks of its own
/// name.
final class ContentionHook: Sendable {
    typealias Listener = @Sendable (ContentionRecord) -> Void

    static let shared = ContentionHook()

    private let listeners = Plain<[String: Listener]>([:])
    private let installed = Plain(false)

    private init() {
        let listeners = listeners
        let won = ContentionRegistry.shared.observe { record in
            // The listener is called with no lock held, not even the test's.
            listeners.now["\(record.lock)"]?(record)
        }
        installed.change { $0 = won }
    }

    /// Whether this observer is the one that is told.
    var isInstalled: Bool { installed.now }

    /// Runs `body` while `listener` is told of the contention of the locks named `name`.
    func listen<Result>(to name: StaticString, _ listener: @escaping Listener, _ body: () throws -> Result) rethrows
        -> Result
    {
        listeners.change { $0["\(name)"] = listener }
        defer { listeners.change { $0["\(name)"] = nil } }
        return try body()
    }

    /// Runs `body` and returns what was told meanwhile of the locks named `name`.
    func records(of name: StaticString, during body: () throws -> Void) rethrows -> [ContentionRecord] {
        let records = Plain<[ContentionRecord]>([])
        try listen(to: name, { record in records.change { $0.append(record) } }, body)
        return records.now
    }
}
