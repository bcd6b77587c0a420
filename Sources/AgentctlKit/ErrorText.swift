internal import AgentAPI

/// A source's error, in full and on lines of its own.
enum ErrorText {
    static func lines(_ error: SourceError?, indent: Int, _ style: TextStyle) -> [String] {
        guard let error else { return [] }
        var lines = Wrapping.indented("\(error.stage): \(error.message)", by: indent, style: style)
        if let hint = error.hint { lines += Wrapping.indented("hint: \(hint)", by: indent, style: style) }
        return lines
    }
}
