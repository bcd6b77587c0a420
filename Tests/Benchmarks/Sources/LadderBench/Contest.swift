/// A limit on a figure, or on its ratio to an anchor's.
struct Goal {
    /// As the project's goals are numbered.
    let id: String
    let limit: Double
    var isCeiling = true

    func isMet(by value: Double) -> Bool { isCeiling ? value <= limit : value >= limit }

    static func atMost(_ limit: Double, _ id: String) -> Goal { Goal(id: id, limit: limit) }
    static func atLeast(_ limit: Double, _ id: String) -> Goal { Goal(id: id, limit: limit, isCeiling: false) }
}

/// A subject held against an anchor, or against a fixed limit when there is none.
struct Comparison {
    let subject: Subject
    let anchor: Subject?
    let figure: Figure
    let goal: Goal?

    init(_ subject: Subject, _ figure: Figure = .ns, to anchor: Subject? = nil, _ goal: Goal? = nil) {
        self.subject = subject
        self.anchor = anchor
        self.figure = figure
        self.goal = goal
    }
}

/// Subjects that take turns under the same conditions.
struct Contest {
    /// As the programs call it.
    let measure: String
    /// What distinguishes it from others of the same measure: `quiet`, `1khz`.
    let condition: String
    let threads: Int
    let options: [String]
    let subjects: [Subject]
    let comparisons: [Comparison]
    /// Rounds beyond the usual number, for small differences.
    let rounds: Int?

    init(
        _ measure: String,
        _ condition: String = "",
        threads: Int = 1,
        _ options: [String] = [],
        _ subjects: [Subject],
        _ comparisons: [Comparison] = [],
        rounds: Int? = nil
    ) {
        self.measure = measure
        self.condition = condition
        self.threads = threads
        self.options = options
        self.subjects = subjects
        self.comparisons = comparisons
        self.rounds = rounds
    }

    var name: String { condition.isEmpty ? measure : "\(measure) \(condition)" }
}
