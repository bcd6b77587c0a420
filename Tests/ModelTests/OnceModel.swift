/// Making a value once (`Once.swift`): the first caller makes it, the others sleep until it is made or has failed.
struct OnceModel {
    /// What is left out or turned round, to see the check fail.
    enum Flaw: CaseIterable {
        case none
        /// The new state is stored, and whether somebody waits looked at before that.
        case waitersLoadedFirst
        /// After a failure only one waiter is woken.
        case oneWokenAfterFailure
        /// Waiters do not say that they are there.
        case waitersUnannounced
        /// The state is exchanged without releasing the value.
        case relaxedExchange
    }

    private let flaw: Flaw
    private let withDeadlines: Bool
    /// 0: empty; 1: being made; 2: being made, with waiters; 3: made.
    private let state: Word
    private let value: Word
    private let makers: Word
    private let made: Word
    private(set) var model = Model()

    /// - Parameters:
    ///   - failing: whether making may fail.
    ///   - withDeadlines: whether waiters may give up.
    init(callers: Int, failing: Bool, withDeadlines: Bool = false, flaw: Flaw = .none) {
        self.flaw = flaw
        self.withDeadlines = withDeadlines
        state = model.word("state")
        value = model.word("value")
        makers = model.word("makers")
        made = model.word("made")
        let this = self
        model.threads(callers, "caller") { program in
            let found = program.register("found")
            program.load(this.state, into: found)
            program.when(found == 3) {
                this.use(program)
            } otherwise: {
                this.makeOrWait(program, failing)
            }
        }
    }

    /// `Once.makeOrWait`
    private func makeOrWait(_ program: Program, _ failing: Bool) {
        let found = program.register("found")
        let fails = program.register("fails")
        program.loop {
            program.compareExchange(state, expected: 0, desired: 1, into: found, .relaxed)
            program.when(found == 0) {
                make(program, failing, into: fails)
                program.exitLoop()
            }
            program.when(found == 3) {
                use(program)
                program.exitLoop()
            }
            wait(program)
        }
    }

    /// `Once.makeNow`
    private func make(_ program: Program, _ failing: Bool, into fails: Register) {
        let (makers, made) = (makers, made)
        program.ghost("begins to make the value") { ghost in
            ghost[makers] += 1
            return ghost[makers] == 1 && ghost[made] == 0 ? nil : "the value is made twice"
        }
        program.choose(below: failing ? 2 : 1, into: fails)
        program.ghost("has made the value", reads: [fails]) { ghost in
            ghost[makers] -= 1
            ghost[made] = 1 - ghost[fails]
            return nil
        }
        program.when(fails == 0) {
            program.store(value, 1)
            finish(program, 3) { program.futexWakeAll(state) }
        } otherwise: {
            finish(program, 0) {
                if flaw == .oneWokenAfterFailure {
                    program.futexWakeOne(state)
                } else {
                    program.futexWakeAll(state)
                }
            }
        }
    }

    /// `Once.finish`
    private func finish(_ program: Program, _ outcome: Operand, _ wake: () -> Void) {
        let before = program.register("before")
        if flaw == .waitersLoadedFirst {
            program.load(state, into: before)
            program.store(state, outcome, .releasing)
        } else {
            program.exchange(state, outcome, into: before, flaw == .relaxedExchange ? .relaxed : .releasing)
        }
        program.when(before == 2) { wake() }
    }

    /// `Once.sleep`; the next turn follows.
    private func wait(_ program: Program) {
        let found = program.register("found")
        let woken = program.register("woken")
        if flaw != .waitersUnannounced {
            program.compareExchange(state, expected: 1, desired: 2, into: found, .relaxed)
            program.when(found == 0) { program.again() }
            program.when(found == 3) { program.again() }
        }
        program.futexWait(state, flaw == .waitersUnannounced ? 1 : 2, into: woken)
        guard withDeadlines else { return }
        program.when(woken == 0) {
            let givesUp = program.register("givesUp")
            program.choose(below: 2, into: givesUp)
            program.when(givesUp == 1) { program.exitLoop() }
        }
    }

    private func use(_ program: Program) {
        let seen = program.register("seen")
        program.load(value, into: seen)
        program.ghost("use the value", reads: [seen]) { ghost in
            ghost[seen] == 1 ? nil : "the value is not there yet"
        }
    }
}
