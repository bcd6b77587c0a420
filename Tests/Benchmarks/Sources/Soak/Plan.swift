import Foundation

/// How long what takes, and how much of it there has to be.
struct Plan: Sendable {
    /// A violation that is brought about on purpose, to see whether it is found.
    enum Plant: String, CaseIterable {
        /// The sampler's figure of memory grows.
        case leak
        /// A source that is not signed goes back.
        case stale
        /// A document is mixed of two.
        case half
        /// The agent is ended behind the soak's back.
        case dead
        /// Nothing is done at all.
        case idle

        /// What has to be found.
        var finding: String {
            switch self {
            case .leak: "not flat: memory"
            case .stale: Promise.sequenceForward.rawValue
            case .half: Promise.wholeDocuments.rawValue
            case .dead: Promise.staysAlive.rawValue
            case .idle: "not exercised"
            }
        }
    }

    let seconds: Double
    let plant: Plant?

    /// The first life is long, and the one whose memory and descriptors are judged.
    var firstLife: Double { seconds * 0.7 }
    var isShort: Bool { seconds < 300 }
    /// Until the list of changes that the agent keeps for watchers is full: 1,024 of them.
    var warmUpGenerations: UInt64 { 1_100 }
    var warmUp: ClosedRange<Double> { firstLife * 0.2...firstLife * 0.4 }
    var sampleEvery: Double { seconds < 60 ? 0.5 : seconds <= 900 ? 1 : 5 }

    var shortFault: Double { isShort ? 2.2 : 4 }
    var longFault: Double { isShort ? 7.5 : 20 }
    var betweenFaults: ClosedRange<Double> { isShort ? 0.7...1.3 : 2...10 }
    var betweenVerbs: Double { isShort ? 0.6 : 2 }
    var hold: Double { isShort ? 1.5 : 4 }
    var laterLives: ClosedRange<Double> { isShort ? 3...6 : 10...40 }
    var betweenHostilities: Double { isShort ? 6 : 20 }

    /// How often each kind of fault, verb and end has to have happened.
    var minimum: Int { max(1, Int(seconds / 900)) }

    /// So much, or such a share of what there is: the list of changes for watchers may still be filling, and malloc
    /// gives back what it likes.
    var memoryTolerance: (megabytes: Double, share: Double) { (2.5, 0.15) }
}
