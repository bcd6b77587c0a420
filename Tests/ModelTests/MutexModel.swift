/// The mutex (`Mutex.swift`): whoever unlocks pays for nothing but a store and a load, whoever waits pays for both.
///
/// Unlocking stores the word and then loads the count of waiters, without a fence between them. A waiter counts
/// itself and then has every running thread pass a full barrier (`membarrier`): an unlocking thread has either made
/// its store visible by then or will see the count.
struct MutexModel {
    /// What is left out or turned round, to see the check fail.
    enum Flaw: CaseIterable {
        case none
        case noMembarrier
        case countedAfterTheMembarrier
        case waitersLoadedFirst
        case plainStore
        case wakingNeverCleared
        case skippedWakeUpForgotten
        case skipsWithoutFence
        case noFutexWaitLoop
        /// Not a flaw: `waking` is cleared after every return from the futex wait.
        case wakingClearedAlways
        /// The wake-up flag is cleared after the word has been looked at again.
        case wakingClearedLate
        case noFence
    }

    var flaw = Flaw.none
    /// Where `membarrier` is refused: unlocking always takes the long way, with a full fence.
    var withoutMembarrier = false

    private let word: Word
    private let waiters: Word
    private let waking: Word
    private let inside: Word
    private let data: Word
    private(set) var model = Model()

    init(threads: Int, rounds: [Int], flaw: Flaw = .none, withoutMembarrier: Bool = false) {
        self.flaw = flaw
        self.withoutMembarrier = withoutMembarrier
        word = model.word("word")
        waiters = model.word("waiters")
        waking = model.word("waking")
        inside = model.word("inside")
        data = model.word("data")
        let unique = Set(rounds)
        precondition(rounds.count == threads)
        for count in unique.sorted() {
            let this = self
            model.threads(rounds.filter { $0 == count }.count, "thread") { program in
                program.times(count) {
                    this.lock(program)
                    this.criticalSection(program)
                    this.unlock(program)
                }
            }
        }
    }

    private func criticalSection(_ program: Program) {
        let inside = inside
        program.ghost("enter") { ghost in
            ghost[inside] += 1
            return ghost[inside] == 1 ? nil : "two threads hold the lock"
        }
        program.ghost("leave") { ghost in
            ghost[inside] -= 1
            return nil
        }
    }

    /// `MutexCore.lock`
    private func lock(_ program: Program) {
        let old = program.register("old")
        program.compareExchange(word, expected: 0, desired: 1, into: old, .relaxed)
        program.when(old != 0) { lockContended(program) }
    }

    /// `MutexCore.park`
    private func lockContended(_ program: Program) {
        let old = program.register("old")
        let woken = program.register("woken")
        if flaw != .countedAfterTheMembarrier { program.add(waiters, 1, .sequentiallyConsistent) }
        if flaw != .noMembarrier && !withoutMembarrier { program.membarrier() }
        if flaw == .countedAfterTheMembarrier { program.add(waiters, 1, .sequentiallyConsistent) }
        program.set(woken, 0)
        program.loop {
            program.exchange(word, 1, into: old, .relaxed)
            if flaw == .wakingClearedLate {
                program.when(woken == 1) { program.exchange(waking, 0, .sequentiallyConsistent) }
            }
            program.when(old == 0) { program.exitLoop() }
            program.futexWait(word, 1, into: woken)
            switch flaw {
            case .wakingNeverCleared, .wakingClearedLate: break
            case .wakingClearedAlways: program.exchange(waking, 0, .sequentiallyConsistent)
            default: program.when(woken == 1) { program.exchange(waking, 0, .sequentiallyConsistent) }
            }
        }
        program.add(waiters, -1, .sequentiallyConsistent)
    }

    /// `MutexCore.unlock`
    private func unlock(_ program: Program) {
        let waiting = program.register("waiting")
        if flaw == .waitersLoadedFirst { program.load(waiters, into: waiting) }
        program.store(word, 0, flaw == .plainStore ? .relaxed : .releasing)
        if withoutMembarrier {
            program.fence()
        }
        if flaw != .waitersLoadedFirst { program.load(waiters, into: waiting) }
        program.when(waiting != 0) { wake(program) }
    }

    /// `MutexCore.wake`
    private func wake(_ program: Program) {
        let seen = program.register("seen")
        let woken = program.register("woken")
        if flaw != .noFence && flaw != .skipsWithoutFence { program.fence() }
        program.loop {
            if flaw == .skipsWithoutFence {
                program.load(waking, into: seen)
                program.when(seen == 2) { program.set(program.register("skip"), 1); program.exitLoop() }
            }
            program.compareExchange(waking, expected: 0, desired: 1, into: seen, .sequentiallyConsistent)
            program.when(seen == 0) {
                wakeOne(program, seen, woken)
                program.exitLoop()
            }
            if flaw == .skippedWakeUpForgotten { program.exitLoop() }
            program.when(seen == 2) { program.exitLoop() }
            program.compareExchange(waking, expected: 1, desired: 2, into: seen, .sequentiallyConsistent)
            program.when(seen == 1) { program.exitLoop() }
            program.when(seen == 2) { program.exitLoop() }
        }
    }

    private func wakeOne(_ program: Program, _ seen: Register, _ woken: Register) {
        program.loop {
            program.futexWakeOne(word, into: woken)
            program.when(woken != 0) { program.exitLoop() }
            program.compareExchange(waking, expected: 1, desired: 0, into: seen, .sequentiallyConsistent)
            program.when(seen != 2) { program.exitLoop() }
            program.store(waking, 1, .sequentiallyConsistent)
        }
    }
}
