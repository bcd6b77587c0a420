import Testing

@Suite struct OnceModelTests {
    @Test(arguments: [false, true], bufferedModels)
    func isCorrect(_ failing: Bool, _ memoryModel: MemoryModel) {
        for callers in 2...4 {
            expectCorrect(OnceModel(callers: callers, failing: failing).model, memoryModel, atLeast: 30)
        }
        expectCorrect(OnceModel(callers: 4, failing: failing, withDeadlines: true).model, memoryModel, atLeast: 300)
    }

    @Test(
        arguments: [OnceModel.Flaw.waitersLoadedFirst, .oneWokenAfterFailure, .waitersUnannounced],
        bufferedModels
    )
    func wakeUpIsLost(_ flaw: OnceModel.Flaw, _ memoryModel: MemoryModel) {
        expectCounterexample(OnceModel(callers: 3, failing: true, flaw: flaw).model, memoryModel, .deadlock)
    }

    @Test func makingReleases() {
        let model = OnceModel(callers: 2, failing: false, flaw: .relaxedExchange).model
        expectCorrect(model, .totalStoreOrder, atLeast: 30)
        expectCounterexample(model, .partialStoreOrder, .violation)
    }
}
