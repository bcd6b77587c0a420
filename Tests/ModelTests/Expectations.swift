import Testing

/// What is known of stores that wait: without any, and with both kinds of them.
let bufferedModels = [MemoryModel.totalStoreOrder, .partialStoreOrder]

/// All states of the model are looked at, and nothing is wrong in any of them.
///
/// - Parameter least: fewer states than that, and the threads did not get in each other's way at all.
func expectCorrect(
    _ model: Model,
    _ memoryModel: MemoryModel,
    atLeast least: Int,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    for spuriousReturns in [false, true] {
        let outcome = Explorer.explore(model, memoryModel, spuriousReturns: spuriousReturns)
        let text = outcome.counterexample?.description ?? ""
        #expect(outcome.counterexample == nil, "\(memoryModel): \(text)", sourceLocation: sourceLocation)
        #expect(outcome.states >= least, "\(memoryModel)", sourceLocation: sourceLocation)
    }
}

/// The same check finds what is wrong with the model, and can say how it comes to that.
func expectCounterexample(
    _ model: Model,
    _ memoryModel: MemoryModel,
    _ kind: Counterexample.Kind,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    for spuriousReturns in [false, true] {
        let found = Explorer.explore(model, memoryModel, spuriousReturns: spuriousReturns).counterexample
        #expect(found?.kind == kind, "\(memoryModel): \(found?.description ?? "")", sourceLocation: sourceLocation)
        #expect(found?.steps.isEmpty == false, sourceLocation: sourceLocation)
    }
}
