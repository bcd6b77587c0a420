/// What a pattern says, before it is turned into steps.
indirect enum PatternTree {
    case one(ScalarSet)
    case assertion(Pattern.Step)
    case sequence([PatternTree])
    case either([PatternTree])
    /// `nil`: any number of times.
    case repeated(PatternTree, Int, Int?)
}

/// Reads a pattern.
struct PatternParser {
    private static let mostDepth = 50
    private static let mostRepetitions = 1_000
    private let scalars: [Unicode.Scalar]
    private var position = 0
    private var depth = 0

    init(_ source: String) { scalars = Array(source.unicodeScalars) }

    mutating func parse() throws(PatternProblem) -> PatternTree {
        let tree = try alternatives()
        guard position == scalars.count else { throw problem("a ')' too many") }
        return tree
    }

    private var current: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

    private func problem(_ what: String) -> PatternProblem {
        PatternProblem(message: "\(what), at character \(min(position, scalars.count) + 1)")
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard current == scalar else { return false }
        position += 1
        return true
    }

    private mutating func take(_ text: String) -> Bool {
        let wanted = Array(text.unicodeScalars)
        guard scalars[position...].starts(with: wanted) else { return false }
        position += wanted.count
        return true
    }

    private mutating func alternatives() throws(PatternProblem) -> PatternTree {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.mostDepth else { throw problem("more than \(Self.mostDepth) groups inside one another") }
        var parts = [try sequence()]
        while take("|") { parts.append(try sequence()) }
        return parts.count == 1 ? parts[0] : .either(parts)
    }

    private mutating func sequence() throws(PatternProblem) -> PatternTree {
        var parts: [PatternTree] = []
        while let scalar = current, scalar != "|", scalar != ")" { parts.append(try term(scalar)) }
        return .sequence(parts)
    }

    private mutating func term(_ scalar: Unicode.Scalar) throws(PatternProblem) -> PatternTree {
        if let assertion = assertion() {
            if let next = current, "*+?{".unicodeScalars.contains(next) { throw problem("nothing to repeat") }
            return .assertion(assertion)
        }
        return try repeated(try atom(scalar))
    }

    private mutating func assertion() -> Pattern.Step? {
        if take("^") { return .textStart }
        if take("$") { return .textEnd }
        if take("\\b") { return .wordBoundary(true) }
        return take("\\B") ? .wordBoundary(false) : nil
    }

    private mutating func atom(_ scalar: Unicode.Scalar) throws(PatternProblem) -> PatternTree {
        position += 1
        switch scalar {
        case ".": return .one(ScalarSet.lineEnds.inverted)
        case "(": return try group()
        case "[": return .one(try set())
        case "\\": return .one(try escape(inSet: false))
        case "*", "+", "?": throw problem("nothing to repeat before '\(scalar)'")
        case "{", "}", "]": throw problem("a '\(scalar)' by itself: write \\\(scalar)")
        default: return .one(.just(scalar))
        }
    }

    private mutating func group() throws(PatternProblem) -> PatternTree {
        if take("?") {
            if take("=") || take("!") || take("<=") || take("<!") { throw problem("looking around is not supported") }
            if take("<") {
                while let scalar = current, scalar != ">" {
                    guard ScalarSet.word.contains(scalar) else { throw problem("not a group's name") }
                    position += 1
                }
                guard take(">") else { throw problem("a group's name without '>'") }
            } else if !take(":") {
                throw problem("an unknown kind of group")
            }
        }
        let tree = try alternatives()
        guard take(")") else { throw problem("a group without ')'") }
        return tree
    }

    // MARK: Repetitions

    private mutating func repeated(_ tree: PatternTree) throws(PatternProblem) -> PatternTree {
        let bounds: (Int, Int?)
        if take("*") {
            bounds = (0, nil)
        } else if take("+") {
            bounds = (1, nil)
        } else if take("?") {
            bounds = (0, 1)
        } else if take("{") {
            bounds = try braces()
        } else {
            return tree
        }
        // How much it takes says nothing about whether it matches.
        _ = take("?")
        if let next = current, "*+?{".unicodeScalars.contains(next) { throw problem("nothing to repeat") }
        return .repeated(tree, bounds.0, bounds.1)
    }

    private mutating func braces() throws(PatternProblem) -> (Int, Int?) {
        guard let least = try number() else { throw problem("a number is missing after '{': write \\{ for a brace") }
        var most: Int? = least
        if take(",") { most = try number() }
        guard take("}") else { throw problem("a '}' is missing") }
        if let most, most < least { throw problem("a repetition that ends before it begins") }
        return (least, most)
    }

    private mutating func number() throws(PatternProblem) -> Int? {
        var value: Int?
        while let scalar = current, ScalarSet.digits.contains(scalar) {
            let digit = Int(scalar.value) - 0x30
            value = (value ?? 0) * 10 + digit
            position += 1
            guard value ?? 0 <= Self.mostRepetitions else {
                throw problem("more than \(Self.mostRepetitions) repetitions")
            }
        }
        return value
    }

    // MARK: Sets

    private mutating func set() throws(PatternProblem) -> ScalarSet {
        let isInverted = take("^")
        var items: [ScalarSet.Item] = []
        while !take("]") {
            guard current != nil else { throw problem("a set without ']'") }
            let first = try member()
            guard current == "-", position + 1 < scalars.count, scalars[position + 1] != "]" else {
                items += first.items
                continue
            }
            position += 1
            let last = try member()
            guard let low = first.single, let high = last.single, low <= high else {
                throw problem("a range that ends before it begins, or is none")
            }
            items.append(.range(low...high))
        }
        let set = ScalarSet(items: items)
        return isInverted ? set.inverted : set
    }

    private mutating func member() throws(PatternProblem) -> ScalarSet {
        guard let scalar = current else { throw problem("a set without ']'") }
        position += 1
        return scalar == "\\" ? try escape(inSet: true) : .just(scalar)
    }

    // MARK: Escapes

    private static let classes: [Unicode.Scalar: ScalarSet] = [
        "d": .digits, "D": .digits.inverted, "w": .word, "W": .word.inverted, "s": .space, "S": .space.inverted,
    ]
    private static let controls: [Unicode.Scalar: Unicode.Scalar] = [
        "t": "\t", "n": "\n", "r": "\r", "v": "\u{0B}", "f": "\u{0C}",
    ]

    private mutating func escape(inSet: Bool) throws(PatternProblem) -> ScalarSet {
        guard let scalar = current else { throw problem("a '\\' at the end") }
        position += 1
        if let set = Self.classes[scalar] { return set }
        if let control = Self.controls[scalar] { return .just(control) }
        switch scalar {
        case "b" where inSet: return .just("\u{08}")
        case "-" where inSet: return .just("-")
        case "c": return .just(try controlLetter())
        case "x": return .just(try hexadecimal(2))
        case "u": return .just(try unicode())
        case "p": return try property()
        case "P": return try property().inverted
        case "0" where current.map(ScalarSet.digits.contains) != true: return .just("\0")
        case "k", "0"..."9": throw problem("references back are not supported")
        default: break
        }
        guard "^$\\.*+?()[]{}|/".unicodeScalars.contains(scalar) else {
            throw problem("an unknown escape '\\\(scalar)'")
        }
        return .just(scalar)
    }

    private mutating func controlLetter() throws(PatternProblem) -> Unicode.Scalar {
        guard let letter = current, letter.isASCII, letter.properties.isAlphabetic else {
            throw problem("a letter is missing after \\c")
        }
        position += 1
        return Unicode.Scalar(UInt8(letter.value % 32))
    }

    private mutating func hexadecimal(_ count: Int) throws(PatternProblem) -> Unicode.Scalar {
        guard let value = digits(count), let scalar = Unicode.Scalar(value) else {
            throw problem("\(count) hexadecimal digits of a character are missing")
        }
        return scalar
    }

    private mutating func digits(_ count: Int) -> UInt32? {
        guard position + count <= scalars.count else { return nil }
        var value: UInt32 = 0
        for scalar in scalars[position..<(position + count)] {
            guard let digit = Character(scalar).hexDigitValue else { return nil }
            value = value << 4 | UInt32(digit)
        }
        position += count
        return value
    }

    private mutating func unicode() throws(PatternProblem) -> Unicode.Scalar {
        if take("{") {
            var value: UInt32 = 0
            while let digit = current.flatMap({ Character($0).hexDigitValue }), value <= 0x10FFFF {
                value = value << 4 | UInt32(digit)
                position += 1
            }
            guard take("}"), let scalar = Unicode.Scalar(value) else { throw problem("not a character: \\u{…}") }
            return scalar
        }
        guard let first = digits(4) else { throw problem("four hexadecimal digits are missing after \\u") }
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, take("\\u"), let second = digits(4), (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw problem("half of a surrogate pair") }
        return scalar
    }

    private mutating func property() throws(PatternProblem) -> ScalarSet {
        guard take("{") else { throw problem("'{' is missing after \\p") }
        var name = ""
        while let scalar = current, scalar != "}" {
            name.unicodeScalars.append(scalar)
            position += 1
        }
        guard take("}") else { throw problem("'}' is missing") }
        for prefix in ["General_Category=", "gc="] where name.hasPrefix(prefix) { name.removeFirst(prefix.count) }
        guard let categories = GeneralCategories.named(name) else {
            throw problem("only general categories are supported, as in \\p{L} or \\p{Lu}: not \\p{\(name)}")
        }
        return ScalarSet(items: [.category(categories)])
    }
}

extension ScalarSet {
    /// The one code point in it; `nil` where there are more.
    fileprivate var single: UInt32? {
        guard items.count == 1, case .range(let range) = items[0], range.count == 1 else { return nil }
        return range.lowerBound
    }
}

/// Unicode's general categories by name.
private enum GeneralCategories {
    private static let short: [String: Unicode.GeneralCategory] = [
        "Lu": .uppercaseLetter, "Ll": .lowercaseLetter, "Lt": .titlecaseLetter, "Lm": .modifierLetter,
        "Lo": .otherLetter, "Mn": .nonspacingMark, "Mc": .spacingMark, "Me": .enclosingMark, "Nd": .decimalNumber,
        "Nl": .letterNumber, "No": .otherNumber, "Pc": .connectorPunctuation, "Pd": .dashPunctuation,
        "Ps": .openPunctuation, "Pe": .closePunctuation, "Pi": .initialPunctuation, "Pf": .finalPunctuation,
        "Po": .otherPunctuation, "Sm": .mathSymbol, "Sc": .currencySymbol, "Sk": .modifierSymbol, "So": .otherSymbol,
        "Zs": .spaceSeparator, "Zl": .lineSeparator, "Zp": .paragraphSeparator, "Cc": .control, "Cf": .format,
        "Cs": .surrogate, "Co": .privateUse, "Cn": .unassigned,
    ]
    private static let long = [
        "Letter": "L", "Uppercase_Letter": "Lu", "Lowercase_Letter": "Ll", "Titlecase_Letter": "Lt", "Mark": "M",
        "Number": "N", "Decimal_Number": "Nd", "digit": "Nd", "Punctuation": "P", "Symbol": "S", "Separator": "Z",
        "Other": "C", "Control": "Cc",
    ]

    static func named(_ name: String) -> Set<Unicode.GeneralCategory>? {
        let name = long[name] ?? name
        if let category = short[name] { return [category] }
        let group = name.count == 1 ? short.filter { $0.key.hasPrefix(name) }.map(\.value) : []
        return group.isEmpty ? nil : Set(group)
    }
}
