internal import AgentTelemetry
internal import ConfigAgent
internal import ConfigSnapshot
internal import LockLadder

/// The changes that are on their way to the workers, so that one record can tell of the whole way of each.
///
/// May be used from any thread; the lock is held for a few instructions.
final class Journeys: Sendable {
    struct Journey: Sendable {
        let source: SourceName
        let trace: Trace
        var publishedAt: MonotonicTime?
    }

    /// Those that a worker has passed over, because the next generation was there already, never arrive.
    private static let most: UInt64 = 64

    private let underWay = Mutex("agentd.journeys", [UInt64: Journey]())

    private let journal: Journal

    init(_ journal: Journal) { self.journal = journal }

    /// A change sets out: just before it is published.
    func note(_ event: AgentEvent) {
        guard case .published(let snapshot, let revision?, let trace?) = event else { return }
        underWay.withLock { journeys in
            // A worker may have it before the publisher comes to tell; this is just before then.
            journeys[snapshot.generation] = Journey(source: revision.source, trace: trace, publishedAt: .now)
            if journeys.count > Self.most {
                journeys = journeys.filter { $0.key + Self.most / 2 > snapshot.generation }
            }
        }
    }

    /// Readers see it from now on.
    func published(_ generation: UInt64) {
        let now = MonotonicTime.now
        underWay.withLock { $0[generation]?.publishedAt = now }
    }

    /// The last worker has it. Nothing is told of what no source has caused.
    func arrived(_ generation: UInt64, at time: MonotonicTime) {
        guard let journey = end(generation) else { return }
        journal.log(EventRecords.arrived(journey, generation: generation, at: time))
    }

    func end(_ generation: UInt64) -> Journey? { underWay.withLock { $0.removeValue(forKey: generation) } }
}
