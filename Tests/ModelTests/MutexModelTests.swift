import Testing

@Suite struct MutexModelTests {
    @Test(arguments: [[2, 2], [3, 3], [2, 1, 1], [2, 2, 2], [2, 1, 1, 1]], bufferedModels)
    func isCorrect(_ rounds: [Int], _ memoryModel: MemoryModel) {
        expectCorrect(MutexModel(rounds: rounds).model, memoryModel, atLeast: 300)
    }

    /// Where the kernel or a sandbox refuses `membarrier`.
    @Test(arguments: [[2, 2], [2, 2, 2], [2, 1, 1, 1]], bufferedModels)
    func isCorrectWithoutMembarrier(_ rounds: [Int], _ memoryModel: MemoryModel) {
        expectCorrect(MutexModel(rounds: rounds, withoutMembarrier: true).model, memoryModel, atLeast: 300)
    }

    /// Where there is some freedom: who clears the mark of a wake-up under way, and when.
    @Test(arguments: [MutexModel.Flaw.wakingAlwaysCleared, .wakingClearedLate], bufferedModels)
    func wakeUpMayBeAcknowledgedOtherwise(_ way: MutexModel.Flaw, _ memoryModel: MemoryModel) {
        expectCorrect(MutexModel(rounds: [2, 1, 1], flaw: way).model, memoryModel, atLeast: 1000)
        expectCorrect(MutexModel(rounds: [1, 1, 1, 1], flaw: way).model, memoryModel, atLeast: 1000)
    }

    @Test(
        arguments: [
            MutexModel.Flaw.noMembarrier, .countedAfterMembarrier, .waitersLoadedFirst, .wakingNeverCleared,
            .skippedWakeUpForgotten, .noFenceAndPlainLoad,
        ],
        bufferedModels
    )
    func wakeUpIsLost(_ flaw: MutexModel.Flaw, _ memoryModel: MemoryModel) {
        expectCounterexample(MutexModel(rounds: [2, 1, 1], flaw: flaw).model, memoryModel, .deadlock)
    }

    /// Without store buffers the barrier would be needless: it is the buffers that the check is about.
    @Test func membarrierIsForTheStoreBuffers() {
        expectCorrect(MutexModel(rounds: [2, 1, 1], flaw: .noMembarrier).model, .sequentialConsistency, atLeast: 1000)
    }

    /// On x86-64 each read-modify-write operation is a fence too; on arm64 a failing one is not.
    @Test func fenceBeforeTheWakeUp() {
        let model = MutexModel(rounds: [2, 1, 1], flaw: .noFence).model
        expectCorrect(model, .totalStoreOrder, atLeast: 1000)
        expectCounterexample(model, .partialStoreOrder, .deadlock)
    }

    @Test func unlockingReleases() {
        let model = MutexModel(rounds: [2, 2], flaw: .plainStore).model
        expectCorrect(model, .totalStoreOrder, atLeast: 300)
        expectCounterexample(model, .partialStoreOrder, .violation)
    }

    /// The trace tells who did what, and what was found.
    @Test func counterexampleCanBeRead() throws {
        let model = MutexModel(rounds: [1, 1], flaw: .noMembarrier).model
        let found = try #require(Explorer.explore(model, .totalStoreOrder).counterexample)
        let lines = found.description.split(separator: "\n")
        #expect(lines.first?.hasPrefix("deadlock: word=0, waiters=1") == true)
        // The holder saw nobody waiting; its store came out of the buffer when the waiter slept already.
        #expect(lines.contains { $0.hasSuffix("waiting = waiters, finds 0") })
        #expect(lines.contains { $0.hasSuffix("futex wait word == 1, finds 1") })
        #expect(lines.last?.hasSuffix("[store buffer] word := 0 reaches memory") == true)
    }
}
