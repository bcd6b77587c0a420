/// What is wrong with one value, and what to write instead. Where it stands is added by whoever reads it.
struct SettingProblem: Error, Equatable {
    var what: String
    var advice: String

    init(_ what: String, _ advice: String) {
        self.what = what
        self.advice = advice
    }
}

/// `text` for a message: in single quotes, short, nothing in it that would disturb a terminal.
func shown(_ text: String) -> String {
    let limit = 60
    let scalars = text.unicodeScalars
    let start = scalars.prefix(limit).map { $0.escaped(asASCII: false) }.joined()
    return "'\(start)\(scalars.count > limit ? "…" : "")'"
}
