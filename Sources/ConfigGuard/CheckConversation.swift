package import ConfigSnapshot

/// What whoever wants a document checked says first, over a socket; the document's bytes follow. Lines of names and values, of
/// which the last is empty.
package struct CheckQuestion: Sendable, Hashable {
    package var source: SourceName
    package var format: DocumentFormat
    package var check: Check
    /// Bytes of the document.
    package var length: Int

    package init(source: SourceName, format: DocumentFormat, check: Check, length: Int) {
        self.source = source
        self.format = format
        self.check = check
        self.length = length
    }

    private static let title = "agent-check 1"
    package static let longest = 4 * Check.longestCommand
    package static let end: [UInt8] = Array("\n\n".utf8)

    /// With the empty line at its end.
    package var bytes: [UInt8] {
        var lines = [Self.title, "source: \(source)", "format: \(format.rawValue)", "length: \(length)"]
        lines.append("timeout: \(check.timeoutMilliseconds)")
        lines += check.command.map { "argument: \(PercentEncoding.encode($0))" }
        return Array(lines.joined(separator: "\n").utf8) + Self.end
    }

    /// - Parameter bytes: up to the empty line, which is not needed.
    package init?(parsing bytes: [UInt8]) {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        let lines = text.split(separator: "\n")
        guard lines.first == Self.title[...] else { return nil }
        var values: [Substring: [Substring]] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { return nil }
            values[line[..<colon], default: []].append(line[colon...].dropFirst(2))
        }
        guard let source = values["source"]?.first.flatMap({ SourceName(String($0)) }),
            let format = values["format"]?.first.flatMap({ DocumentFormat(rawValue: String($0)) }),
            let length = values["length"]?.first.flatMap({ Int($0) }), length >= 0,
            let timeout = values["timeout"]?.first.flatMap({ Int($0) }), timeout > 0
        else { return nil }
        let encoded = values["argument"] ?? []
        let command = encoded.compactMap { PercentEncoding.decode($0, allowsZero: false) }
        guard !command.isEmpty, command.count == encoded.count else { return nil }
        self.init(
            source: source,
            format: format,
            check: Check(command: command, timeoutMilliseconds: timeout),
            length: length
        )
    }
}

/// What came of it.
package enum CheckAnswer: Sendable, Hashable {
    case passed
    /// The document is not to be used, and why, in the command's words or, where it said nothing, in ours.
    case refused([String])
    /// The command could not be run: that says nothing about the document. With what to do about it, where we know.
    case notRun(String, advice: String? = nil)

    private static let title = "agent-check answer 1"
    /// Said first, just before the command is run: from then on an end without an answer is the command's.
    package static let begun: [UInt8] = Array("begun\n".utf8)
    /// Reasons that are passed on, and how much of each.
    private static let mostReasons = 8
    private static let longestReason = 300
    /// Room for all of them, of four bytes to a character, each of which is written as three.
    package static let longest = 32 << 10

    package var bytes: [UInt8] {
        func line(_ name: String, _ text: String) -> String { "\(name): \(PercentEncoding.encode(text))" }
        let lines =
            switch self {
            case .passed: ["verdict: passed"]
            case .refused(let reasons): ["verdict: refused"] + Self.readable(reasons).map { line("reason", $0) }
            case .notRun(let reason, let advice):
                ["verdict: not-run"] + Self.readable([reason]).map { line("reason", $0) }
                    + Self.readable(advice.map { [$0] } ?? []).map { line("advice", $0) }
            }
        return Array(([Self.title] + lines + ["end"]).map { $0 + "\n" }.joined().utf8)
    }

    /// - Returns: `nil` for anything but a whole answer.
    package init?(parsing bytes: [UInt8]) {
        guard let text = String(validating: bytes, as: UTF8.self), text.hasSuffix("\nend\n") else { return nil }
        let lines = text.split(separator: "\n").dropLast()
        guard lines.first == Self.title[...] else { return nil }
        func all(_ name: String) -> [String] {
            Self.readable(
                lines.dropFirst(2).compactMap { line in
                    line.hasPrefix("\(name): ")
                        ? PercentEncoding.decode(line.dropFirst(name.utf8.count + 2), allowsZero: true) : nil
                }
            )
        }
        let reasons = all("reason")
        switch lines.dropFirst().first {
        case "verdict: passed": self = .passed
        case "verdict: refused": self = .refused(reasons.isEmpty ? ["its check gave no reason"] : reasons)
        case "verdict: not-run": self = .notRun(reasons.first ?? "nobody said why", advice: all("advice").first)
        default: return nil
        }
    }

    /// What a command said, by lines.
    package static func reasons(in output: [UInt8]) -> [String] {
        readable(String(decoding: output, as: UTF8.self).split { $0.isNewline }.map { String($0) })
    }

    /// The first of them and so much of each as is passed on, without what does things to a terminal.
    private static func readable(_ texts: [String]) -> [String] {
        let words = texts.lazy.map { text in
            let scalars = text.unicodeScalars.lazy.filter { scalar in
                let facts = scalar.properties
                return ![.control, .lineSeparator, .paragraphSeparator].contains(facts.generalCategory)
                    && !facts.isBidiControl
            }
            return String(String.UnicodeScalarView(scalars.prefix(longestReason)))
        }
        return Array(words.filter { !$0.allSatisfy(\.isWhitespace) }.prefix(mostReasons))
    }
}
