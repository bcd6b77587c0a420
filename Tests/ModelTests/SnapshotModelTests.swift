import Testing

@Suite struct SnapshotModelTests {
    typealias Act = SnapshotModel.Act

    struct Threads: Sendable {
        let readers: [[Act]]
        let publications: [Int]
    }

    private static let combinations = [
        Threads(readers: [[.read, .read, .read]], publications: [2, 1]),
        Threads(readers: [[.read, .park, .read]], publications: [2]),
        Threads(readers: [[.read, .leave, .read]], publications: [2]),
        Threads(readers: [[.read], [.read]], publications: [1, 1]),
        Threads(readers: [[.read, .read], [.read]], publications: [2]),
    ]

    @Test(arguments: combinations, bufferedModels)
    func isCorrect(_ threads: Threads, _ memoryModel: MemoryModel) {
        let model = SnapshotModel(readers: threads.readers, publications: threads.publications).model
        expectCorrect(model, memoryModel)
    }

    /// Readers could leave the fence to the publishers: a plain store for a `membarrier` between swap and scan.
    @Test(arguments: combinations.prefix(3), bufferedModels)
    func publisherMayPayForTheFence(_ threads: Threads, _ memoryModel: MemoryModel) {
        let model = SnapshotModel(readers: threads.readers, publications: threads.publications, barrier: .publisher)
        expectCorrect(model.model, memoryModel)
    }

    @Test(
        arguments: [
            SnapshotModel.Flaw.plainHazard, .releasingHazard, .noSecondLook, .scanBeforeSwap,
            .slotsCountedBeforeSwap, .linkedLate, .noScan,
        ],
        bufferedModels
    )
    func freedObjectIsUsed(_ flaw: SnapshotModel.Flaw, _ memoryModel: MemoryModel) {
        let model = SnapshotModel(readers: [[.read, .read]], publications: [2], flaw: flaw).model
        expectCounterexample(model, memoryModel)
    }

    /// What takes two readers.
    @Test(arguments: [SnapshotModel.Flaw.linkedUntaken, .slotGivenUpFirst], bufferedModels)
    func slotIsShared(_ flaw: SnapshotModel.Flaw, _ memoryModel: MemoryModel) {
        let model = SnapshotModel(readers: [[.read], [.read]], publications: [2], flaw: flaw).model
        expectCounterexample(model, memoryModel)
    }

    /// The plain store is wrong because of the store buffers alone.
    @Test func fenceIsForTheStoreBuffers() {
        let model = SnapshotModel(readers: [[.read, .read]], publications: [2], flaw: .plainHazard).model
        expectCorrect(model, .sequentialConsistency)
    }

    // Nobody sleeps on a futex here, so spurious returns would only repeat the search.

    private func expectCorrect(_ model: Model, _ memoryModel: MemoryModel) {
        let outcome = Explorer.explore(model, memoryModel)
        #expect(outcome.counterexample == nil, "\(memoryModel): \(outcome.counterexample?.description ?? "")")
        #expect(outcome.states >= 1000)
    }

    private func expectCounterexample(_ model: Model, _ memoryModel: MemoryModel) {
        let found = Explorer.explore(model, memoryModel).counterexample
        #expect(found?.kind == .violation, "\(memoryModel): \(found?.description ?? "")")
        #expect(found?.steps.isEmpty == false)
    }
}
