/// Why a document did not get through: which stage stopped it, what kind of failure, in words, and what to do.
///
/// Codes are stable and few (`timeout`, `http_status`, `duplicate_key` …): they count failures by class and appear in
/// status, metrics and the journal. Messages never hold header values or the query of a URL.
public struct StageFailure: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Stage: String, Sendable, Hashable {
        case fetch, verify, decode, guarding = "guard", publish, store
    }

    public let stage: Stage
    public let code: String
    public let message: String
    public let hint: String?

    public init(_ stage: Stage, _ code: String, _ message: String, hint: String? = nil) {
        self.stage = stage
        self.code = code
        self.message = message
        self.hint = hint
    }

    public var description: String { "\(stage.rawValue): \(message)" }
}

extension StageFailure {
    public static let noMemoryCode = "no_memory"
    public static let noMemoryHint =
        "free memory, raise MemoryMax= of the unit, or lower 'guard.max_bytes' of the source"

    /// There is no memory for a document of `bytes` bytes.
    public static func noMemory(_ stage: Stage, bytes: Int) -> StageFailure {
        StageFailure(stage, noMemoryCode, "there is no memory for a document of \(bytes) bytes", hint: noMemoryHint)
    }
}
