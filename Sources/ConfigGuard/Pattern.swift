/// A regular expression whose search takes time in proportion to the text, whatever the two are: all that it could match
/// is followed at once, and nothing is tried again.
///
/// Its language is ECMAScript's, read as with the `u` flag, without what cannot be searched for in this way: references
/// back and looking around. A character is a code point. A pattern may match anywhere in a text.
package struct Pattern: Sendable, Hashable {
    /// As it was written.
    package let source: String
    let program: [Step]
    /// What a look at one character costs at each step: a set may have thousands of parts, and all are looked at.
    let costs: [Int]

    enum Step: Sendable, Hashable {
        case one(ScalarSet)
        case both(Int, Int)
        case goTo(Int)
        case textStart
        case textEnd
        case wordBoundary(Bool)
        case found
    }

    /// - Throws: what is wrong with it.
    package init(_ source: String) throws(PatternProblem) {
        self.source = source
        var parser = PatternParser(source)
        let tree = try parser.parse()
        var compiler = PatternCompiler()
        try compiler.append(tree)
        program = try compiler.finish()
        costs = program.map { if case .one(let set) = $0 { 1 + set.size / 8 } else { 1 } }
    }

    /// - Parameter budget: reduced by the steps that were taken.
    /// - Returns: `nil` when there were not enough of them.
    package func matches(_ text: some Sequence<Unicode.Scalar>, budget: inout Int) -> Bool? {
        var search = PatternSearch(self)
        for scalar in text {
            let isFound = search.step(scalar)
            budget -= search.cost
            if isFound { return true }
            if budget < 0 { return nil }
        }
        let isFound = search.step(nil)
        budget -= search.cost
        return budget < 0 ? nil : isFound
    }
}

/// Why a pattern is none.
package struct PatternProblem: Error, Sendable, Hashable {
    package let message: String
}

/// A set of code points.
struct ScalarSet: Sendable, Hashable {
    indirect enum Item: Sendable, Hashable {
        case range(ClosedRange<UInt32>)
        case category(Set<Unicode.GeneralCategory>)
        case not(ScalarSet)
    }

    var items: [Item]

    func contains(_ scalar: Unicode.Scalar) -> Bool {
        items.contains { item in
            switch item {
            case .range(let range): range.contains(scalar.value)
            case .category(let categories): categories.contains(scalar.properties.generalCategory)
            case .not(let others): !others.contains(scalar)
            }
        }
    }

    /// How many parts it has, with those of the sets in it.
    var size: Int { items.reduce(0) { if case .not(let others) = $1 { $0 + others.size } else { $0 + 1 } } }

    static func just(_ scalar: Unicode.Scalar) -> ScalarSet { ScalarSet(items: [.range(scalar.value...scalar.value)]) }
    var inverted: ScalarSet { ScalarSet(items: [.not(self)]) }

    static let lineEnds = ScalarSet(items: [.range(0x0A...0x0A), .range(0x0D...0x0D), .range(0x2028...0x2029)])
    static let digits = ScalarSet(items: [.range(0x30...0x39)])
    static let word = ScalarSet(
        items: [.range(0x30...0x39), .range(0x41...0x5A), .range(0x5F...0x5F), .range(0x61...0x7A)]
    )
    static let space = ScalarSet(
        items: [
            .range(0x09...0x0D), .range(0x20...0x20), .range(0xFEFF...0xFEFF), .range(0x2028...0x2029),
            .category([.spaceSeparator]),
        ]
    )
}

/// Follows all that a pattern could match.
private struct PatternSearch {
    private let program: [Pattern.Step]
    private let costs: [Int]
    /// The steps that wait for a character, none twice.
    private var current: [Int] = []
    private var next: [Int] = []
    /// When each step was last reached: in this round or earlier.
    private var reached: [Int]
    private var round = 0
    private var pending: [Int] = []
    private var isFound = false
    private var last: Unicode.Scalar?
    private var isAtStart = true
    /// Of the last step.
    private(set) var cost = 0

    init(_ pattern: Pattern) {
        program = pattern.program
        costs = pattern.costs
        reached = [Int](repeating: 0, count: program.count)
    }

    /// - Parameter scalar: the next one; `nil` at the end of the text.
    /// - Returns: whether a match ends before it.
    mutating func step(_ scalar: Unicode.Scalar?) -> Bool {
        cost = 1
        round += 1
        next.removeAll(keepingCapacity: true)
        // What was reached by the character before, and what may begin here.
        for start in current { follow(start, before: scalar) }
        follow(0, before: scalar)
        if isFound { return true }
        current.removeAll(keepingCapacity: true)
        guard let scalar else { return false }
        for index in next {
            if case .one(let set) = program[index], set.contains(scalar) { current.append(index + 1) }
            cost += costs[index]
        }
        (last, isAtStart) = (scalar, false)
        return false
    }

    /// Adds all that waits for a character and can be reached from `start` without one.
    private mutating func follow(_ start: Int, before scalar: Unicode.Scalar?) {
        pending.append(start)
        while let index = pending.popLast() {
            guard reached[index] != round else { continue }
            reached[index] = round
            cost += 1
            switch program[index] {
            case .one: next.append(index)
            case .found: isFound = true
            case .goTo(let target): pending.append(target)
            case .both(let first, let second): pending += [first, second]
            case .textStart: if isAtStart { pending.append(index + 1) }
            case .textEnd: if scalar == nil { pending.append(index + 1) }
            case .wordBoundary(let wanted): if isBoundary(before: scalar) == wanted { pending.append(index + 1) }
            }
        }
    }

    private func isBoundary(before scalar: Unicode.Scalar?) -> Bool {
        func isWord(_ scalar: Unicode.Scalar?) -> Bool { scalar.map(ScalarSet.word.contains) ?? false }
        return isWord(last) != isWord(scalar)
    }
}

/// Turns what was parsed into steps.
private struct PatternCompiler {
    private static let mostSteps = 10_000
    private var steps: [Pattern.Step] = []

    mutating func finish() throws(PatternProblem) -> [Pattern.Step] {
        try add(.found)
        return steps
    }

    private mutating func add(_ step: Pattern.Step) throws(PatternProblem) {
        guard steps.count < Self.mostSteps else {
            throw PatternProblem(message: "it is too large once its repetitions are written out")
        }
        steps.append(step)
    }

    mutating func append(_ tree: PatternTree) throws(PatternProblem) {
        switch tree {
        case .one(let set): try add(.one(set))
        case .assertion(let step): try add(step)
        case .sequence(let parts): for part in parts { try append(part) }
        case .either(let parts): try appendEither(parts)
        case .repeated(let part, let least, let most): try appendRepeated(part, least, most)
        }
    }

    private mutating func appendEither(_ parts: [PatternTree]) throws(PatternProblem) {
        var ends: [Int] = []
        for (number, part) in parts.enumerated() {
            guard number < parts.count - 1 else {
                try append(part)
                break
            }
            let fork = steps.count
            try add(.both(fork + 1, fork + 1))
            try append(part)
            ends.append(steps.count)
            try add(.goTo(0))
            steps[fork] = .both(fork + 1, steps.count)
        }
        for end in ends { steps[end] = .goTo(steps.count) }
    }

    private mutating func appendRepeated(_ part: PatternTree, _ least: Int, _ most: Int?) throws(PatternProblem) {
        for _ in 0..<least {
            let before = steps.count
            try append(part)
            // Of nothing, any number is nothing.
            if steps.count == before { return }
        }
        guard let most else {
            let fork = steps.count
            try add(.both(fork + 1, fork + 1))
            try append(part)
            try add(.goTo(fork))
            steps[fork] = .both(fork + 1, steps.count)
            return
        }
        var forks: [Int] = []
        for _ in 0..<(most - least) {
            forks.append(steps.count)
            try add(.both(0, 0))
            try append(part)
        }
        for fork in forks { steps[fork] = .both(fork + 1, steps.count) }
    }
}
