/// Makes text from elsewhere harmless for a terminal.
///
/// Messages quote what a source sent: its control characters could move the cursor, hide lines or worse.
enum Printable {
    /// `text` with each control character written as an escape; line breaks too, unless they are to stay.
    static func clean(_ text: String, keepingLines: Bool = false) -> String {
        guard text.unicodeScalars.contains(where: isHarmful) else { return text }
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if !isHarmful(scalar) || (keepingLines && scalar == "\n") {
                result.append(scalar)
            } else {
                result.append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".unicodeScalars)
            }
        }
        return String(result)
    }

    private static func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        // Format characters can turn the direction of a line around.
        case .control, .format, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }
}
