@testable import ConfigGuard

/// A pattern and a text: the search ends in proportion to both, and finds what a slow search finds that was written
/// otherwise.
func fuzzPattern(_ bytes: [UInt8]) {
    let parts = parts(of: bytes, atMost: 2).map { String(decoding: $0, as: UTF8.self) }
    let pattern: Pattern
    do throws(PatternProblem) { pattern = try Pattern(parts[0]) } catch { return }
    require((try? Pattern(parts[0])) == pattern, "the same pattern is another one")
    let text = parts.count > 1 ? Array(parts[1].unicodeScalars) : []

    let sizes = pattern.program.reduce(0) { if case .one(let set) = $1 { $0 + size(of: set) } else { $0 } }
    let most = (text.count + 1) * (3 * pattern.program.count + sizes + 2)
    // A document is given more; here it would be for too few inputs to be worth it.
    let given = min(most, 300_000)
    var budget = given
    guard let found = pattern.matches(text, budget: &budget) else {
        return require(given < most, "more than \(most) steps for \(text.count) characters")
    }
    var less = (given - budget) / 2
    let soon = pattern.matches(text, budget: &less)
    require(soon == nil || soon == found, "with less time another answer")

    guard text.count <= 48, pattern.program.count <= 1_000 else { return }
    var parser = PatternParser(parts[0])
    guard let tree = try? parser.parse() else { fatalError("a pattern that is none") }
    let slow = SlowSearch(text: text)
    let isThere = (0...text.count).contains { !slow.ends(of: tree, from: [$0]).isEmpty }
    require(isThere == found, "the slow search says \(isThere)")
}

private func size(of set: ScalarSet) -> Int {
    set.items.reduce(0) { if case .not(let others) = $1 { $0 + size(of: others) } else { $0 + 1 } }
}

/// Where matches end, for all of where they may begin: no steps and no forks, but sets of places.
private struct SlowSearch {
    let text: [Unicode.Scalar]

    func ends(of tree: PatternTree, from starts: Set<Int>) -> Set<Int> {
        if starts.isEmpty { return [] }
        switch tree {
        case .one(let set):
            return Set(starts.filter { $0 < text.count && set.contains(text[$0]) }.map { $0 + 1 })
        case .assertion(let step): return starts.filter { holds(step, at: $0) }
        case .sequence(let parts): return parts.reduce(starts) { ends(of: $1, from: $0) }
        case .either(let parts): return parts.reduce(into: []) { $0.formUnion(ends(of: $1, from: starts)) }
        case .repeated(let part, let least, let most): return repeated(part, least, most, from: starts)
        }
    }

    private func repeated(_ part: PatternTree, _ least: Int, _ most: Int?, from starts: Set<Int>) -> Set<Int> {
        var places = starts
        for _ in 0..<least {
            let next = ends(of: part, from: places)
            if next == places { break }
            places = next
        }
        var all = places
        var left = most.map { $0 - least } ?? Int.max
        while left > 0 {
            places = ends(of: part, from: places).subtracting(all)
            if places.isEmpty { break }
            all.formUnion(places)
            left -= 1
        }
        return all
    }

    private func holds(_ step: Pattern.Step, at place: Int) -> Bool {
        func isWord(_ place: Int) -> Bool {
            guard text.indices.contains(place) else { return false }
            let scalar = text[place]
            return scalar == "_" || (scalar.isASCII && scalar.properties.isAlphabetic) || ("0"..."9").contains(scalar)
        }
        switch step {
        case .textStart: return place == 0
        case .textEnd: return place == text.count
        case .wordBoundary(let wanted): return (isWord(place - 1) != isWord(place)) == wanted
        default: return false
        }
    }
}
