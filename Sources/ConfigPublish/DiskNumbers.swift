// Numbers as they lie on disk. Beyond these bounds no agent has written one, and whoever reckons with them may go out of
// their type's.

extension Int64 {
    /// Nanoseconds since 1970, until the year 2255.
    init?(time text: some StringProtocol) {
        guard let time = Int64(text), (0...9_000_000_000_000_000_000).contains(time) else { return nil }
        self = time
    }
}

extension UInt64 {
    /// The number of a generation: no agent lives long enough to reach half of what there are.
    init?(generation text: some StringProtocol) {
        guard let number = UInt64(text), number < .max / 2 else { return nil }
        self = number
    }
}
