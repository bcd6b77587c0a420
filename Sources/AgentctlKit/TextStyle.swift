/// How text is laid out and coloured.
public struct TextStyle: Sendable, Hashable {
    /// Whether colours may be used.
    public var colour: Bool
    /// The columns that long messages are wrapped to.
    public var width: Int

    /// A style; widths too small to be read are widened.
    public init(colour: Bool = false, width: Int = 100) {
        self.colour = colour
        self.width = max(40, width)
    }

    /// The style for an output.
    ///
    /// - Parameters:
    ///   - columns: of the terminal; `nil` when the output is none.
    ///   - noColour: the value of `NO_COLOR`.
    ///   - terminal: the value of `TERM`.
    public init(columns: Int?, noColour: String?, terminal: String?) {
        let allowed = (noColour ?? "").isEmpty && terminal != "dumb"
        self.init(colour: columns != nil && allowed, width: columns ?? 100)
    }

    /// What a piece of text means.
    enum Tone: String {
        case good = "32"
        case doubtful = "33"
        case bad = "31"
        case heading = "1"
        case faint = "2"
    }

    func paint(_ text: String, _ tone: Tone?) -> String {
        guard colour, let tone else { return text }
        return "\u{1B}[\(tone.rawValue)m\(text)\u{1B}[0m"
    }
}
