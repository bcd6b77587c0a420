import BenchKit
import Foundation

/// Has sources do wrong, one after the other all that each can do wrong.
final class Chaos: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: all is touched under `lock`.
    struct Mark: Codable {
        let source: String
        let kind: String
        let from: Double
        var to: Double
    }

    private let sources: Sources
    private let plan: Plan
    private let promises: Promises
    private let lock = NSLock()
    private var marks: [Mark] = []

    init(_ sources: Sources, _ plan: Plan, _ promises: Promises) {
        self.sources = sources
        self.plan = plan
        self.promises = promises
    }

    var all: [Mark] { lock.withLock { marks } }

    func run(_ source: String, _ crew: Crew) throws {
        guard crew.pause(3) else { return }
        var kinds: [FaultKind] = []
        var number = 0
        while crew.goesOn {
            if kinds.isEmpty {
                // What only this source can do wrong comes first.
                let all = FaultKind.kinds(of: source)
                let own = all.filter { kind in
                    sources.names.allSatisfy { $0 == source || !FaultKind.kinds(of: $0).contains(kind) }
                }
                kinds = own + all.filter { !own.contains($0) }.shuffled()
            }
            number += 1
            let isLong = number % 4 == 0
            let kind = kinds.removeFirst()
            if try !turn(source, kind, crew, seconds: isLong ? plan.longFault : plan.shortFault) {
                // Its time has not come yet.
                kinds.insert(kind, at: min(1, kinds.count))
            }
            // One that can do little wrong is left in peace for longer, and changes meanwhile.
            let rest = Double.random(in: plan.betweenFaults) * (FaultKind.kinds(of: source).count < 5 ? 4 : 1)
            guard crew.pause(rest) else { return }
        }
    }

    /// - Returns: whether it came to that.
    private func turn(_ source: String, _ kind: FaultKind, _ crew: Crew, seconds: Double) throws -> Bool {
        guard let turn = sources.turns[source] else { return false }
        turn.lock()
        defer { turn.unlock() }
        if kind == .mirrorLags, !waitForFirstPlace(crew) { return false }
        try cause(kind, of: source) { _ in crew.pause(seconds * Double.random(in: 0.7...1.2)) }
        return true
    }

    /// A place that has said last what is in use may go back: the mirror is not to be that one.
    private func waitForFirstPlace(_ crew: Crew) -> Bool {
        let deadline = Date.now + 20
        var begun: Int?
        while Date.now < deadline, crew.pause(0.2) {
            let (isFirst, floor, newest) = sources.ledger.look { state in
                (state.isUp && state.place == 0, state.floors["plain"] ?? 0, state.newestOffer["plain"] ?? 0)
            }
            guard isFirst else {
                begun = nil
                continue
            }
            // Two changes that were there after the return came from there.
            if let begun, floor > begun + 1 { return true }
            begun = begun ?? newest
        }
        return false
    }

    /// To be called by whoever has the source's turn.
    func cause(_ kind: FaultKind, of source: String, while body: (Shelf.Offer?) throws -> Void) throws {
        let from = promises.seconds
        let offer = try sources.begin(kind, of: source)
        let result = Result { try body(offer) }
        try sources.end(kind, of: source)
        lock.withLock {
            marks.append(Mark(source: source, kind: kind.rawValue, from: from, to: promises.seconds))
        }
        try result.get()
    }
}
