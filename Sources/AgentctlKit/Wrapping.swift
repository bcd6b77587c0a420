/// Breaks long messages into lines.
enum Wrapping {
    /// The lines of `text`, none longer than `width` but for words that are longer themselves: nothing is cut off.
    static func lines(_ text: String, width: Int) -> [String] {
        var lines: [String] = []
        for paragraph in text.split(separator: "\n", omittingEmptySubsequences: true) {
            var line = ""
            for word in paragraph.split(separator: " ") {
                if line.isEmpty {
                    line = String(word)
                } else if line.count + 1 + word.count <= width {
                    line += " " + word
                } else {
                    lines.append(line)
                    line = String(word)
                }
            }
            if !line.isEmpty { lines.append(line) }
        }
        return lines
    }

    /// `text` from elsewhere, made harmless, as indented lines.
    static func indented(_ text: String, by indent: Int, style: TextStyle) -> [String] {
        let margin = String(repeating: " ", count: indent)
        return lines(Printable.clean(text, keepingLines: true), width: style.width - indent).map { margin + $0 }
    }
}
