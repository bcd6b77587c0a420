import Testing

@testable import AgentTelemetry
@testable import LockLadder

@Suite("What to try against contention")
struct ContentionAdviceTests {
    private typealias Facts = ContentionAdvice.Facts

    private static let ms: UInt64 = 1_000_000

    private static let table: [(what: String, facts: Facts, advice: ContentionAdvice)] = [
        ("free, but asleep", Facts(kind: .mutex, mode: .exclusive, hold: 4 * ms, wake: 5 * ms), .cpu),
        ("half and half is the holder's", Facts(kind: .mutex, mode: .exclusive, hold: 5 * ms, wake: 5 * ms), .longHold),
        ("a reader that did not get to run", Facts(kind: .rwlock, mode: .shared, hold: 0, wake: 5 * ms), .cpu),
        ("one long hold", Facts(kind: .mutex, mode: .exclusive, hold: 900 * ms, wake: ms), .longHold),
        ("several holds", Facts(kind: .mutex, mode: .exclusive, hold: 900 * ms, taken: 1), .overtaken),
        ("several short holds", Facts(kind: .mutex, mode: .exclusive, hold: 3 * ms, waiters: 4, taken: 9), .crowd),
        ("a long hold, many waiters", Facts(kind: .mutex, mode: .exclusive, hold: 900 * ms, waiters: 9), .longHold),
        ("many waiters, short holds", Facts(kind: .mutex, mode: .exclusive, hold: 3 * ms, waiters: 4), .crowd),
        ("just a crowd", Facts(kind: .mutex, mode: .exclusive, hold: 4 * ms - 4, waiters: 4), .crowd),
        ("holds of a millisecond each", Facts(kind: .mutex, mode: .exclusive, hold: 4 * ms, waiters: 4), .longHold),
        ("just no crowd", Facts(kind: .mutex, mode: .exclusive, hold: 2 * ms, waiters: 3), .longHold),
        ("a reader behind a writer", Facts(kind: .rwlock, mode: .shared, hold: 5 * ms, wake: ms), .behindWriter),
        ("many readers behind one", Facts(kind: .rwlock, mode: .shared, hold: ms, waiters: 9), .behindWriter),
        ("a writer behind readers", Facts(kind: .rwlock, mode: .exclusive, hold: 5 * ms), .behindReaders),
        ("a shared flight", Facts(kind: .flight, mode: .shared, hold: 5 * ms, wake: 9 * ms), .sharedFlight),
        ("a flight that lasts", Facts(kind: .flight, mode: nil, hold: 5 * ms, isOver: false), .sharedFlight),
        ("a first use", Facts(kind: .once, mode: .shared, hold: 5 * ms, wake: 9 * ms), .firstUse),
        ("nothing moves", Facts(kind: .mutex, mode: nil, hold: 5_000 * ms, waiters: 9, isOver: false), .stillHeld),
        ("no reader gets in", Facts(kind: .rwlock, mode: nil, hold: 5_000 * ms, isOver: false), .stillHeld),
        ("nobody was counted", Facts(kind: .mutex, mode: .exclusive, hold: 0, waiters: 0), .longHold),
    ]

    @Test(arguments: table.indices)
    func chosen(index: Int) {
        let row = Self.table[index]
        #expect(ContentionAdvice.choose(row.facts) == row.advice, "\(row.what)")
    }

    @Test("Each advice is given by some facts")
    func complete() {
        #expect(Set(Self.table.map(\.advice)) == Set(ContentionAdvice.allCases))
    }

    @Test("One sentence, which names the holder where the holder matters", arguments: ContentionAdvice.allCases)
    func sentences(advice: ContentionAdvice) {
        let site = CallSite(fileID: "Module/Holder.swift", line: 34)
        let text = advice.sentence(holder: site)
        #expect(text.hasSuffix(".") && !text.dropLast().contains(". ") && !text.contains("\n"))
        let isAboutHolder = ![.cpu, .sharedFlight, .crowd].contains(advice)
        #expect(text.contains("Module/Holder.swift:34") == isAboutHolder)
        #expect(advice.sentence(holder: .none).contains("the holder") == isAboutHolder)
    }
}

extension ContentionAdvice.Facts {
    fileprivate init(
        kind: LockKind,
        mode: LockMode?,
        hold: UInt64,
        wake: UInt64 = 0,
        waiters: UInt32 = 1,
        taken: UInt64 = 0,
        isOver: Bool = true
    ) {
        self.init(
            kind: kind,
            mode: mode,
            holdNanoseconds: hold,
            wakeNanoseconds: wake,
            takenMeanwhile: taken,
            waiters: waiters,
            isOver: isOver
        )
    }
}
