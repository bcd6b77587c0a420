import Testing

/// What is known of stores that wait: without any, and with both kinds of them.
let bufferedModels = [MemoryModel.totalStoreOrder, .partialStoreOrder]

/// All states of the model are looked at, and nothing is wrong in any of them.
///
/// With spurious returns: whatever can go wrong without them is found then too, since they rescue nobody.
///
/// - Parameter least: fewer states than that, and the threads did not get in each other's way at all.
func expectCorrect(
    _ model: Model,
    _ memoryModel: MemoryModel,
    atLeast least: Int,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    let outcome = Explorer.explore(model, memoryModel, spuriousReturns: true)
    let text = outcome.counterexample?.description ?? ""
    #expect(outcome.counterexample == nil, "\(memoryModel): \(text)", sourceLocation: sourceLocation)
    #expect(outcome.states >= least, "\(memoryModel)", sourceLocation: sourceLocation)
}

/// The same check finds what is wrong with the model, without any spurious return, and can say how it comes to that.
func expectCounterexample(
    _ model: Model,
    _ memoryModel: MemoryModel,
    _ kind: Counterexample.Kind,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    let found = Explorer.explore(model, memoryModel).counterexample
    #expect(found?.kind == kind, "\(memoryModel): \(found?.description ?? "")", sourceLocation: sourceLocation)
    #expect(found?.steps.isEmpty == false, sourceLocation: sourceLocation)
}
