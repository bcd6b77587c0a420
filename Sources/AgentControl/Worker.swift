internal import ConfigAgent
internal import ConfigPublish
internal import ConfigSnapshot
internal import LockLadder
internal import NIOCore

internal import struct Synchronization.Atomic

/// One `agent-worker-N`: an event loop with its own reader of the snapshot.
final class Worker: Sendable {
    let name: String
    let loop: any EventLoop
    /// The loop's own reader. A request borrows from it; nothing lent out leaves the closure.
    private let reader: NIOLoopBound<LoopReader<Snapshot>>
    private let connectionSet: NIOLoopBound<ConnectionSet>
    private let watcherSet: NIOLoopBound<Watchers>
    private let answers: NIOLoopBoundBox<AnswerCache>
    private let cell: SnapshotCell<Snapshot>
    private let seenGeneration = Atomic<UInt64>(0)
    /// Wall-clock nanoseconds; 0 when the worker is up to date.
    private let behindSince = Atomic<Int64>(0)
    private let reads = PaddedCounter()
    private let arrivals: Arrivals

    /// To be called on `loop`.
    init(
        index: Int,
        loop: any EventLoop,
        publisher: Publisher,
        connections: ConnectionCount,
        book: EventBook,
        arrivals: Arrivals,
        limits: ClientLimits
    ) {
        name = "agent-worker-\(index)"
        self.loop = loop
        self.arrivals = arrivals
        cell = publisher.cell
        let reader = LoopReader(cell)
        self.reader = NIOLoopBound(reader, eventLoop: loop)
        connectionSet = NIOLoopBound(
            ConnectionSet(loop: loop, total: connections, limits: limits),
            eventLoop: loop
        )
        let watchers = Watchers(loop: loop, book: book, history: publisher.history) { reader.withSnapshot($0) }
        watcherSet = NIOLoopBound(watchers, eventLoop: loop)
        answers = NIOLoopBoundBox(AnswerCache(), eventLoop: loop)
        CurrentThread.setName(name)
        seenGeneration.store(reader.withSnapshot { $0.generation }, ordering: .relaxed)
    }

    /// The connections that this worker answers. On the worker's loop only.
    var connections: ConnectionSet { connectionSet.value }

    /// Those of them that watch. On the worker's loop only.
    var watchers: Watchers { watcherSet.value }

    /// Reads the newest snapshot; nested reads see the same one. On the worker's loop only.
    func withSnapshot<Value>(_ body: (borrowing Snapshot) -> Value) -> Value {
        reads.add()
        return reader.value.withSnapshot(body)
    }

    /// The answer to a read of `target` that was made from the newest snapshot already. On the worker's loop only.
    func cachedAnswer(to target: String) -> ByteBuffer? {
        let generation = reader.value.withSnapshot { $0.generation }
        guard let answer = answers.value.answer(to: target, generation: generation) else { return nil }
        reads.add()
        return answer
    }

    /// Keeps an answer that depends on `target` and the snapshot of `generation` only. On the worker's loop only.
    func cache(_ answer: ByteBuffer, to target: String, generation: UInt64) {
        answers.value.keep(answer, to: target, generation: generation)
    }

    /// The bytes of a large value, shared by all who ask for it. On the worker's loop only.
    func shared(_ value: ArraySlice<UInt8>, key: String, generation: UInt64) -> ByteBuffer {
        answers.value.shared(value, key: Array(key.utf8), generation: generation)
    }

    /// The same for a document that is loaded on demand. On the worker's loop only.
    func shared(_ value: ArraySlice<UInt8>, key: String, of document: Snapshot) -> ByteBuffer {
        answers.value.shared(value, key: Array(key.utf8), of: document)
    }

    /// Told when a document on demand is in use no more. Never waits.
    func dropped(_ source: SourceName, of documents: OnDemandDocuments) {
        loop.execute { [self] in
            answers.value.clear(source)
            documents.park()
        }
    }

    /// Told after each publication, on the publishing thread: wakes the loop, so that an idle worker lets go of the
    /// old snapshot. Never waits.
    ///
    /// - Parameter announced: the generation that was published.
    func published(_ announced: UInt64) {
        // Relaxed, here and below: figures for reports.
        _ = behindSince.compareExchange(expected: 0, desired: WallClock.nowNanoseconds, ordering: .relaxed)
        loop.execute { [self] in
            behindSince.store(0, ordering: .relaxed)
            reader.value.refresh()
            let generation = reader.value.withSnapshot { $0.generation }
            let isNew = seenGeneration.exchange(generation, ordering: .relaxed) != generation
            if isNew { arrivals.note(generation) }
            answers.value.clear(for: generation)
            cell.reclaim()
            watcherSet.value.published(announced)
        }
    }

    struct Figures {
        var name: String
        var generation: UInt64
        var behindSince: Int64?
        var reads: UInt64
    }

    var figures: Figures {
        let since = behindSince.load(ordering: .relaxed)
        return Figures(
            name: name,
            generation: seenGeneration.load(ordering: .relaxed),
            behindSince: since == 0 ? nil : since,
            reads: reads.count
        )
    }
}
