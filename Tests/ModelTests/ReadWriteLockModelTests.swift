import Testing

@Suite struct ReadWriteLockModelTests {
    typealias Preference = ReadWriteLockModel.Preference

    struct Threads: Sendable {
        let readers: [Int]
        let writers: [Int]
    }

    @Test(
        arguments: [
            Threads(readers: [2], writers: [2]), Threads(readers: [1], writers: [1, 1]),
            Threads(readers: [1, 1], writers: [1]),
        ],
        [Preference.writers, .readers(tries: 1)]
    )
    func isCorrect(_ threads: Threads, _ preference: Preference) {
        for memoryModel in bufferedModels {
            let model = ReadWriteLockModel(readers: threads.readers, writers: threads.writers, preference).model
            expectCorrect(model, memoryModel, atLeast: 3000)
        }
    }

    /// Two of each; and the gate opened twice for readers before it stays closed.
    @Test func isCorrectWithMore() {
        let four = ReadWriteLockModel(readers: [1, 1], writers: [1, 1]).model
        let twice = ReadWriteLockModel(readers: [2], writers: [1, 1], .readers(tries: 2)).model
        for memoryModel in bufferedModels {
            expectCorrect(four, memoryModel, atLeast: 100_000)
            expectCorrect(twice, memoryModel, atLeast: 10_000)
        }
    }

    @Test(arguments: [Preference.writers, .readers(tries: 1)])
    func isCorrectWithoutMembarrier(_ preference: Preference) {
        for memoryModel in bufferedModels {
            let one = ReadWriteLockModel(readers: [2], writers: [2], preference, withoutMembarrier: true).model
            expectCorrect(one, memoryModel, atLeast: 5000)
            let two = ReadWriteLockModel(readers: [1, 1], writers: [1], preference, withoutMembarrier: true).model
            expectCorrect(two, memoryModel, atLeast: 20_000)
        }
    }

    /// The count of departures orders the slot before it; and one membarrier for each announcement is enough.
    @Test(arguments: [ReadWriteLockModel.Flaw.noFenceBeforeWake, .membarrierEachTurn], bufferedModels)
    func mayBeDoneOtherwise(_ way: ReadWriteLockModel.Flaw, _ memoryModel: MemoryModel) {
        let model = ReadWriteLockModel(readers: [2], writers: [2], .readers(tries: 1), flaw: way).model
        expectCorrect(model, memoryModel, atLeast: 10_000)
    }

    @Test(
        arguments: [
            ReadWriteLockModel.Flaw.noMembarrierAfterWaiting, .waitingLoadedFirst, .drainLoadedLate,
            .noWakeUpOnRetreat, .drainNotCounted,
        ],
        [Preference.writers, .readers(tries: 1)]
    )
    func wakeUpIsLost(_ flaw: ReadWriteLockModel.Flaw, _ preference: Preference) {
        let model = ReadWriteLockModel(readers: [2], writers: [2], preference, flaw: flaw).model
        for memoryModel in bufferedModels { expectCounterexample(model, memoryModel, .deadlock) }
    }

    @Test(
        arguments: [ReadWriteLockModel.Flaw.noMembarrierAfterGate, .gateLoadedFirst],
        [Preference.writers, .readers(tries: 1)]
    )
    func writerEntersBesideReader(_ flaw: ReadWriteLockModel.Flaw, _ preference: Preference) {
        let model = ReadWriteLockModel(readers: [1], writers: [1], preference, flaw: flaw).model
        for memoryModel in bufferedModels { expectCounterexample(model, memoryModel, .violation) }
    }

    @Test func openingTheGateReleases() {
        let model = ReadWriteLockModel(readers: [1], writers: [1, 1], flaw: .gateOpenedPlainly).model
        expectCorrect(model, .totalStoreOrder, atLeast: 3000)
        expectCounterexample(model, .partialStoreOrder, .violation)
    }
}
