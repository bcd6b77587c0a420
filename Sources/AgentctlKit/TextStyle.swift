/// How text is laid out and coloured.
public struct TextStyle: Sendable, Hashable {
    /// Whether colours may be used.
    public var colour: Bool
    /// The columns that long messages are wrapped to.
    public var width: Int

    /// Whether the reader's terminal shows block characters.
    public var blocks: Bool

    /// A style; widths too small to be read are widened.
    public init(colour: Bool = false, width: Int = 100, blocks: Bool = false) {
        self.colour = colour
        self.blocks = blocks
        self.width = max(40, width)
    }

    /// The style for an output.
    ///
    /// - Parameters:
    ///   - columns: of the terminal; `nil` when the output is none.
    ///   - noColour: the value of `NO_COLOR`.
    ///   - terminal: the value of `TERM`.
    ///   - locale: the first value of `LC_ALL`, `LC_CTYPE` and `LANG` that is not empty.
    public init(columns: Int?, noColour: String?, terminal: String?, locale: String? = nil) {
        let allowed = (noColour ?? "").isEmpty && terminal != "dumb"
        let encoding = (locale ?? "").uppercased()
        let isUTF8 = encoding.hasSuffix("UTF-8") || encoding.hasSuffix("UTF8")
        self.init(colour: columns != nil && allowed, width: columns ?? 100, blocks: isUTF8 && terminal != "dumb")
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
