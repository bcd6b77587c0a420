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
        expectCorrect(model, memoryModel, atLeast: 1000)
    }

    /// Readers could leave the fence to the publishers: a plain store for a `membarrier` between swap and scan.
    @Test(arguments: combinations.prefix(3), bufferedModels)
    func publisherMayPayForTheFence(_ threads: Threads, _ memoryModel: MemoryModel) {
        let model = SnapshotModel(readers: threads.readers, publications: threads.publications, barrier: .publisher)
        expectCorrect(model.model, memoryModel, atLeast: 1000)
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
        expectCounterexample(model, memoryModel, .violation)
    }

    /// What takes two readers.
    @Test(arguments: [SnapshotModel.Flaw.linkedUntaken, .slotGivenUpFirst], bufferedModels)
    func slotIsShared(_ flaw: SnapshotModel.Flaw, _ memoryModel: MemoryModel) {
        let model = SnapshotModel(readers: [[.read], [.read]], publications: [2], flaw: flaw).model
        expectCounterexample(model, memoryModel, .violation)
    }

    /// The plain store is wrong because of the store buffers alone.
    @Test func fenceIsForTheStoreBuffers() {
        let model = SnapshotModel(readers: [[.read, .read]], publications: [2], flaw: .plainHazard).model
        expectCorrect(model, .sequentialConsistency, atLeast: 500)
    }
}
