import Testing

/// The search itself, against what is known of the memory models.
@Suite struct LitmusTests {
    /// Two threads that each store one word and load the other's: both may see 0 as long as stores are buffered.
    private func storeBuffering(_ barrier: (Program) -> Void, _ second: ((Program) -> Void)? = nil) -> Model {
        var model = Model()
        let words = model.words("word", [0, 0])
        let seen = model.words("seen", [9, 9])
        for thread in 0..<2 {
            model.threads(1, "thread") { program in
                let value = program.register("value")
                program.store(words[thread], 1)
                if thread == 1, let second { second(program) } else { barrier(program) }
                program.load(words[1 - thread], into: value)
                program.ghost("remember", reads: [value]) { ghost in
                    ghost[seen[thread]] = ghost[value]
                    return ghost[seen[0]] == 0 && ghost[seen[1]] == 0 ? "neither saw the other's store" : nil
                }
            }
        }
        return model
    }

    @Test func storeBufferingWithoutFences() {
        let model = storeBuffering { _ in }
        #expect(Explorer.explore(model, .sequentialConsistency).counterexample == nil)
        for memoryModel in [MemoryModel.totalStoreOrder, .partialStoreOrder] {
            let found = Explorer.explore(model, memoryModel).counterexample
            #expect(found?.kind == .violation)
            #expect(found?.steps.isEmpty == false)
        }
    }

    @Test(arguments: MemoryModel.allCases)
    func storeBufferingWithFences(_ memoryModel: MemoryModel) {
        #expect(Explorer.explore(storeBuffering { $0.fence() }, memoryModel).counterexample == nil)
        // One side pays for both.
        let asymmetric = storeBuffering({ _ in }, { $0.membarrier() })
        #expect(Explorer.explore(asymmetric, memoryModel).counterexample == nil)
    }

    @Test func oneFenceIsNotEnough() {
        let model = storeBuffering({ _ in }, { $0.fence() })
        #expect(Explorer.explore(model, .totalStoreOrder).counterexample?.kind == .violation)
    }

    /// Data, then a flag: whoever sees the flag sees the data, if the stores keep their order.
    private func messagePassing(_ order: Order) -> Model {
        var model = Model()
        let data = model.word("data")
        let flag = model.word("flag")
        model.threads(1, "writer") { program in
            program.store(data, 1)
            program.store(flag, 1, order)
        }
        model.threads(1, "reader") { program in
            let sawFlag = program.register("sawFlag")
            let sawData = program.register("sawData")
            program.load(flag, into: sawFlag)
            program.load(data, into: sawData)
            program.ghost("compare", reads: [sawFlag, sawData]) { ghost in
                ghost[sawFlag] == 1 && ghost[sawData] == 0 ? "the flag came before the data" : nil
            }
        }
        return model
    }

    @Test func messagePassing() {
        #expect(Explorer.explore(messagePassing(.relaxed), .totalStoreOrder).counterexample == nil)
        #expect(Explorer.explore(messagePassing(.relaxed), .partialStoreOrder).counterexample?.kind == .violation)
        #expect(Explorer.explore(messagePassing(.releasing), .partialStoreOrder).counterexample == nil)
    }

    /// A thread sees its own store before the others do: x86-64 and arm64 both allow it.
    @Test func storeForwarding() {
        var model = Model()
        let words = model.words("word", [0, 0])
        let early = model.word("early")
        for thread in 0..<2 {
            model.threads(1, "thread") { program in
                let own = program.register("own")
                let other = program.register("other")
                program.store(words[thread], 1)
                program.load(words[thread], into: own)
                program.load(words[1 - thread], into: other)
                program.ghost("count", reads: [own, other]) { ghost in
                    if ghost[own] != 1 { return "its own store is not seen" }
                    ghost[early] += 1 - ghost[other]
                    return ghost[early] == 2 ? "both saw their own store first" : nil
                }
            }
        }
        #expect(Explorer.explore(model, .sequentialConsistency).counterexample == nil)
        for memoryModel in [MemoryModel.totalStoreOrder, .partialStoreOrder] {
            #expect(Explorer.explore(model, memoryModel).counterexample?.what == "both saw their own store first")
        }
    }

    /// Each thread stores both words, in opposite order: both first stores can last only if stores change places.
    @Test func twoWritersOfTwoWords() {
        var model = Model()
        let words = model.words("word", [0, 0])
        let done = model.word("done")
        for thread in 0..<2 {
            model.threads(1, "thread") { program in
                program.store(words[thread], 1)
                program.store(words[1 - thread], 2)
                program.fence()
                program.ghost("compare") { ghost in
                    ghost[done] += 1
                    return ghost[done] == 2 && ghost[words[0]] == 1 && ghost[words[1]] == 1 ? "both first stores" : nil
                }
            }
        }
        #expect(Explorer.explore(model, .totalStoreOrder).counterexample == nil)
        #expect(Explorer.explore(model, .partialStoreOrder).counterexample?.kind == .violation)
    }

    /// Two readers never disagree on the order of two writers' stores: a store reaches all others at once.
    @Test(arguments: MemoryModel.allCases)
    func independentReadersOfIndependentWriters(_ memoryModel: MemoryModel) {
        var model = Model()
        let words = model.words("word", [0, 0])
        let saw = model.words("saw", [0, 0])
        for thread in 0..<2 { model.threads(1, "writer") { $0.store(words[thread], 1) } }
        for thread in 0..<2 {
            model.threads(1, "reader") { program in
                let first = program.register("first")
                let second = program.register("second")
                program.load(words[thread], into: first)
                program.load(words[1 - thread], into: second)
                program.ghost("compare", reads: [first, second]) { ghost in
                    ghost[saw[thread]] = ghost[first] == 1 && ghost[second] == 0 ? 1 : 0
                    return ghost[saw[0]] + ghost[saw[1]] == 2 ? "the readers disagree" : nil
                }
            }
        }
        #expect(Explorer.explore(model, memoryModel).counterexample == nil)
    }

    /// Sequentially consistent stores and loads alone do for store buffering, releasing ones do not.
    @Test(arguments: MemoryModel.allCases)
    func sequentiallyConsistentAccesses(_ memoryModel: MemoryModel) {
        func model(_ storing: Order, _ loading: Order) -> Model {
            var model = Model()
            let words = model.words("word", [0, 0])
            let zeros = model.word("zeros")
            for thread in 0..<2 {
                model.threads(1, "thread") { program in
                    let value = program.register("value")
                    program.store(words[thread], 1, storing)
                    program.load(words[1 - thread], into: value, loading)
                    program.ghost("count", reads: [value]) { ghost in
                        ghost[zeros] += ghost[value] == 0 ? 1 : 0
                        return ghost[zeros] == 2 ? "both saw 0" : nil
                    }
                }
            }
            return model
        }
        let strong = model(.sequentiallyConsistent, .sequentiallyConsistent)
        #expect(Explorer.explore(strong, memoryModel).counterexample == nil)
        let weak = Explorer.explore(model(.releasing, .relaxed), memoryModel).counterexample
        #expect((weak == nil) == (memoryModel == .sequentialConsistency))
    }

    /// A sleeper that nobody wakes is found, and a spurious return does not hide it.
    @Test(arguments: [false, true])
    func lostWakeUp(_ spuriousReturns: Bool) {
        var model = Model()
        let word = model.word("word")
        model.threads(1, "sleeper") { program in
            let woken = program.register("woken")
            program.futexWait(word, 0, into: woken)
        }
        model.threads(1, "forgetful") { program in program.store(word, 1) }
        let found = Explorer.explore(model, .totalStoreOrder, spuriousReturns: spuriousReturns).counterexample
        #expect(found?.kind == .deadlock)
        #expect(found?.steps.isEmpty == false)
    }

    /// Threads that only go round in circles are found too.
    @Test func endlessLoop() {
        var model = Model()
        let word = model.word("word")
        model.threads(1, "spinning") { program in
            let value = program.register("value")
            program.loop {
                program.load(word, into: value)
                program.when(value == 1) { program.exitLoop() }
            }
        }
        #expect(Explorer.explore(model, .totalStoreOrder).counterexample?.kind == .cannotFinish)
    }

    /// Interchangeable threads are counted once: three of them reach far fewer states than three different ones.
    @Test func interchangeableThreads() {
        func model(_ twins: Bool) -> Model {
            var model = Model()
            let word = model.word("word")
            let body = { (program: Program) in
                program.times(2) { program.add(word, 1, .sequentiallyConsistent) }
            }
            if twins { model.threads(3, "thread", body) } else { for _ in 0..<3 { model.threads(1, "thread", body) } }
            return model
        }
        let twins = Explorer.explore(model(true), .totalStoreOrder)
        let others = Explorer.explore(model(false), .totalStoreOrder)
        // Three threads at one of three places each: with and without regard to who is where.
        #expect(twins.states == 10)
        #expect(others.states == 27)
    }
}
