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
        /// A waiter counts itself only after its membarrier.
        case countedAfterMembarrier
        /// Unlocking looks for waiters first and gives up the lock after that.
        case waitersLoadedFirst
        /// The woken waiter does not say that the wake-up has arrived.
        case wakingNeverCleared
        /// Who finds a wake-up under way leaves no word that one more was asked for.
        case skippedWakeUpForgotten
        /// Unlocking stores the word with a plain store.
        case plainStore
        /// No fence before the wake-up.
        case noFence
        /// No fence, and who finds that a wake-up was skipped already goes away after a plain load.
        case noFenceAndPlainLoad
        // Not flaws, but other ways:
        /// `waking` is cleared after every return from the futex wait, not only when woken.
        case wakingAlwaysCleared
        /// `waking` is cleared only after the next look at the word.
        case wakingClearedLate
    }

    private let flaw: Flaw
    /// Where `membarrier` is refused: unlocking always takes the long way, with a full fence.
    private let withoutMembarrier: Bool
    private let word: Word
    private let waiters: Word
    /// 0: no wake-up is under way; 1: one is; 2: one is, and somebody has skipped another one.
    private let waking: Word
    private let inside: Word
    private let entries: Word
    private let data: Word
    private(set) var model = Model()

    /// - Parameter rounds: how often each thread takes the lock.
    init(rounds: [Int], flaw: Flaw = .none, withoutMembarrier: Bool = false) {
        self.flaw = flaw
        self.withoutMembarrier = withoutMembarrier
        word = model.word("word")
        waiters = model.word("waiters")
        waking = model.word("waking")
        inside = model.word("inside")
        entries = model.word("entries")
        data = model.word("data")
        let this = self
        for count in Set(rounds).sorted() {
            model.threads(rounds.filter { $0 == count }.count, "thread") { program in
                program.times(count) {
                    this.lock(program)
                    this.criticalSection(program)
                    this.unlock(program)
                }
            }
        }
    }

    /// Nobody else is inside, and what the last holder wrote is seen.
    private func criticalSection(_ program: Program) {
        let (inside, entries) = (inside, entries)
        let seen = program.register("seen")
        program.load(data, into: seen)
        program.ghost("enter", reads: [seen]) { ghost in
            ghost[inside] += 1
            ghost[entries] += 1
            if ghost[inside] > 1 { return "two threads hold the lock" }
            return ghost[seen] == ghost[entries] - 1 ? nil : "what the last holder wrote is not seen"
        }
        program.increase(seen)
        program.store(data, .register(seen))
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
        if flaw != .countedAfterMembarrier { program.add(waiters, 1, .sequentiallyConsistent) }
        if flaw != .noMembarrier && !withoutMembarrier { program.membarrier() }
        if flaw == .countedAfterMembarrier { program.add(waiters, 1, .sequentiallyConsistent) }
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
            case .wakingAlwaysCleared: program.exchange(waking, 0, .sequentiallyConsistent)
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
        if withoutMembarrier { program.fence() }
        if flaw != .waitersLoadedFirst { program.load(waiters, into: waiting) }
        program.when(waiting != 0) { wake(program) }
    }

    /// `MutexCore.wake`
    private func wake(_ program: Program) {
        let seen = program.register("seen")
        let woken = program.register("woken")
        if flaw != .noFence && flaw != .noFenceAndPlainLoad { program.fence() }
        program.loop {
            if flaw == .noFenceAndPlainLoad {
                program.load(waking, into: seen)
                program.when(seen == 2) { program.exitLoop() }
            }
            program.compareExchange(waking, expected: 0, desired: 1, into: seen, .sequentiallyConsistent)
            program.when(seen == 0) {
                wakeOne(program, seen, woken)
                program.exitLoop()
            }
            if flaw == .skippedWakeUpForgotten { program.exitLoop() }
            program.when(seen == 2) { program.exitLoop() }
            program.compareExchange(waking, expected: 1, desired: 2, into: seen, .sequentiallyConsistent)
            program.when(seen != 0) { program.exitLoop() }
        }
    }

    /// With `waking` set by this thread: until somebody was woken, or nobody asked for it meanwhile.
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
