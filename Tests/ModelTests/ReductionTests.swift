import Testing

/// Taking states for one that differ in nothing that matters changes no verdict and no shortest counterexample; nor
/// would longer store buffers.
@Suite struct ReductionTests {
    private func expectSameVerdict(_ model: Model, _ name: String) {
        for memoryModel in bufferedModels {
            let reduced = Explorer.explore(model, memoryModel)
            let whole = Explorer.explore(model, memoryModel, reduces: false)
            #expect(reduced.counterexample?.kind == whole.counterexample?.kind, "\(name), \(memoryModel)")
            #expect(reduced.counterexample?.what == nil || reduced.counterexample?.steps.contains("") == false)
            #expect(reduced.counterexample?.steps.count == whole.counterexample?.steps.count, "\(name), \(memoryModel)")
            if whole.counterexample == nil { #expect(reduced.states <= whole.states) }
        }
    }

    @Test(arguments: MutexModel.Flaw.allCases)
    func mutex(_ flaw: MutexModel.Flaw) {
        expectSameVerdict(MutexModel(rounds: [1, 1, 1], flaw: flaw).model, "\(flaw)")
        expectSameVerdict(MutexModel(rounds: [2, 2], flaw: flaw).model, "\(flaw)")
    }

    @Test(arguments: ReadWriteLockModel.Flaw.allCases)
    func readWriteLock(_ flaw: ReadWriteLockModel.Flaw) {
        expectSameVerdict(ReadWriteLockModel(readers: [1], writers: [1, 1], flaw: flaw).model, "\(flaw)")
        expectSameVerdict(
            ReadWriteLockModel(readers: [2], writers: [1], .readers(tries: 1), flaw: flaw).model,
            "\(flaw)"
        )
    }

    @Test(arguments: SnapshotModel.Flaw.allCases)
    func snapshot(_ flaw: SnapshotModel.Flaw) {
        expectSameVerdict(SnapshotModel(readers: [[.read, .read]], publications: [2], flaw: flaw).model, "\(flaw)")
        if flaw == .linkedLate { return }
        expectSameVerdict(SnapshotModel(readers: [[.read], [.read]], publications: [1], flaw: flaw).model, "\(flaw)")
    }

    @Test(arguments: OnceModel.Flaw.allCases)
    func once(_ flaw: OnceModel.Flaw) {
        expectSameVerdict(OnceModel(callers: 3, failing: true, flaw: flaw).model, "\(flaw)")
    }

    /// More room for stores on their way adds no states at all: the programs never fill what there is.
    @Test(arguments: bufferedModels)
    func bufferCapacity(_ memoryModel: MemoryModel) {
        let models = [
            MutexModel(rounds: [2, 2]).model,
            MutexModel(rounds: [1, 1, 1]).model,
            ReadWriteLockModel(readers: [1], writers: [1, 1]).model,
            ReadWriteLockModel(readers: [2], writers: [2]).model,
            SnapshotModel(readers: [[.read, .park, .read]], publications: [1]).model,
        ]
        for model in models {
            let usual = Explorer.explore(model, memoryModel)
            let roomy = Explorer.explore(model, memoryModel, bufferCapacity: 9)
            #expect(usual.states == roomy.states)
        }
    }
}
