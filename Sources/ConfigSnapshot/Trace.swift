/// One document's way through the agent: an id and a time stamp for each stage it has passed.
///
/// Stamps are nanoseconds on the monotonic clock, taken by whoever finishes the stage; a stage not reached is `nil`.
public struct Trace: Sendable, Hashable {
    public enum Stage: Int, Sendable, CaseIterable {
        /// The request left (or, for a stored copy, was read).
        case requested
        /// The last byte of the body arrived.
        case received
        /// A command has answered, where one has the last word: the stages after this one are gone through again then.
        case checked
        case verified
        case decoded
        /// The snapshot that holds it was swapped in.
        case published
    }

    /// Random, never zero; written as 16 hexadecimal digits.
    public let id: UInt64
    private var stamps: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)

    public init(id: UInt64 = UInt64.random(in: 1...UInt64.max)) {
        self.id = id
        self.stamps = (0, 0, 0, 0, 0, 0)
    }

    public subscript(stage: Stage) -> UInt64? {
        get {
            let value =
                switch stage {
                case .requested: stamps.0
                case .received: stamps.1
                case .checked: stamps.2
                case .verified: stamps.3
                case .decoded: stamps.4
                case .published: stamps.5
                }
            return value == 0 ? nil : value
        }
        set {
            let value = newValue ?? 0
            switch stage {
            case .requested: stamps.0 = value
            case .received: stamps.1 = value
            case .checked: stamps.2 = value
            case .verified: stamps.3 = value
            case .decoded: stamps.4 = value
            case .published: stamps.5 = value
            }
        }
    }

    /// The id as it appears in the journal and in answers: 16 hexadecimal digits.
    public var text: String {
        let digits = String(id, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    public static func == (left: Trace, right: Trace) -> Bool { left.id == right.id && left.stamps == right.stamps }

    public func hash(into hasher: inout Hasher) { hasher.combine(id) }
}
