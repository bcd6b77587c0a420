/// The read-write lock (`RWCore.swift`): each reader has a slot of its own and enters with a store and a load.
///
/// A writer closes the gate and then has every running thread pass a full barrier (`membarrier`): a reader's slot is
/// visible by then, or the reader will see the gate closed and step back.
struct ReadWriteLockModel {
    /// What is left out or turned round, to see the check fail.
    enum Flaw: CaseIterable {
        case none
        /// Between closing the gate and the first look at the slots.
        case noMembarrierAfterGate
        /// Between announcing that the writer waits and the second look at the slots.
        case noMembarrierAfterWaiting
        /// The reader looks at the gate before it takes its slot.
        case gateLoadedFirst
        /// The reader looks whether a writer waits before it gives its slot back.
        case waitingLoadedFirst
        /// The writer remembers the count of departures after its second look at the slots.
        case drainLoadedLate
        /// A reader that steps back from a closed gate wakes nobody.
        case noWakeUpOnRetreat
        /// The gate is opened with a plain store.
        case gateOpenedPlainly
        /// Departures are not counted: readers only wake.
        case drainNotCounted
        /// Not flaws:
        case noFenceBeforeWake
        case membarrierEachTurn
    }

    enum Preference { case writers, readers(tries: Int) }

    private let flaw: Flaw
    private let preference: Preference
    private let withoutMembarrier: Bool
    private let slotCount: Int
    private let gate: Word
    private let writerWaiting: Word
    private let drain: Word
    private let writers: Word
    private let slots: WordArray
    private let data: WordArray
    private let readersInside: Word
    private let writersInside: Word
    private(set) var model = Model()

    /// - Parameters: how often each reader and each writer takes the lock.
    init(
        readers: [Int],
        writers rounds: [Int],
        _ preference: Preference = .writers,
        flaw: Flaw = .none,
        withoutMembarrier: Bool = false
    ) {
        self.flaw = flaw
        self.preference = preference
        self.withoutMembarrier = withoutMembarrier
        slotCount = readers.count
        gate = model.word("gate")
        writerWaiting = model.word("writerWaiting")
        drain = model.word("drain")
        writers = model.word("writers")
        slots = model.words("slot", readers.map { _ in 0 })
        data = model.words("data", [0, 0])
        readersInside = model.word("readersInside")
        writersInside = model.word("writersInside")
        let this = self
        for (index, count) in readers.enumerated() {
            model.threads(1, "reader") { program in
                program.times(count) {
                    this.readLock(program, this.slots[index])
                    this.read(program)
                    this.readUnlock(program, this.slots[index])
                }
            }
        }
        for count in Set(rounds).sorted() {
            model.threads(rounds.filter { $0 == count }.count, "writer") { program in
                program.times(count) {
                    this.writeLock(program)
                    this.write(program)
                    this.writeUnlock(program)
                }
            }
        }
    }

    // MARK: Critical sections

    private func read(_ program: Program) {
        let (readersInside, writersInside) = (readersInside, writersInside)
        let first = program.register("first")
        let second = program.register("second")
        program.ghost("enter") { ghost in
            ghost[readersInside] += 1
            return ghost[writersInside] == 0 ? nil : "a reader entered beside a writer"
        }
        program.load(data[0], into: first)
        program.load(data[1], into: second)
        program.ghost("leave", reads: [first, second]) { ghost in
            ghost[readersInside] -= 1
            return ghost[first] == ghost[second] ? nil : "a reader saw half of what was written"
        }
    }

    private func write(_ program: Program) {
        let (readersInside, writersInside) = (readersInside, writersInside)
        let value = program.register("value")
        program.ghost("enter") { ghost in
            ghost[writersInside] += 1
            if ghost[readersInside] > 0 { return "a writer entered beside a reader" }
            return ghost[writersInside] == 1 ? nil : "two writers hold the lock"
        }
        program.load(data[0], into: value)
        program.increase(value)
        program.store(data[0], .register(value))
        program.store(data[1], .register(value))
        program.ghost("leave") { ghost in
            ghost[writersInside] -= 1
            return nil
        }
    }

    // MARK: Reading

    /// `RWCore.lockShared`
    private func readLock(_ program: Program, _ slot: Word) {
        let closed = program.register("closed")
        program.loop {
            if flaw == .gateLoadedFirst {
                program.load(gate, into: closed)
                program.store(slot, 1)
            } else {
                program.store(slot, 1)
                if withoutMembarrier { program.fence() }
                program.load(gate, into: closed)
            }
            program.when(closed == 0) { program.exitLoop() }
            leaveSlot(program, slot, wakes: flaw != .noWakeUpOnRetreat)
            program.loop {
                program.load(gate, into: closed)
                program.when(closed == 0) { program.exitLoop() }
                program.futexWait(gate, .register(closed), into: program.register("woken"))
            }
        }
    }

    /// `RWCore.unlockShared`
    private func readUnlock(_ program: Program, _ slot: Word) { leaveSlot(program, slot, wakes: true) }

    private func leaveSlot(_ program: Program, _ slot: Word, wakes: Bool) {
        let waiting = program.register("waiting")
        if flaw == .waitingLoadedFirst && wakes { program.load(writerWaiting, into: waiting) }
        program.store(slot, 0, .releasing)
        guard wakes else { return }
        if withoutMembarrier { program.fence() }
        if flaw != .waitingLoadedFirst { program.load(writerWaiting, into: waiting) }
        program.when(waiting != 0) {
            if flaw != .noFenceBeforeWake { program.fence() }
            if flaw != .drainNotCounted { program.add(drain, 1, .sequentiallyConsistent) }
            program.futexWakeOne(drain)
        }
    }

    // MARK: Writing

    /// `RWCore.lockExclusively`
    private func writeLock(_ program: Program) {
        let occupied = program.register("occupied")
        let attempt = program.register("attempt")
        program.takeTurn(writers)
        program.set(attempt, 0)
        program.loop {
            closeGate(program)
            scan(program, into: occupied)
            program.when(occupied == 0) { program.exitLoop() }
            guard case .readers(let tries) = preference else {
                awaitReaders(program, occupied)
                return program.exitLoop()
            }
            program.when(attempt == .value(tries)) {
                awaitReaders(program, occupied)
                program.exitLoop()
            }
            program.increase(attempt)
            openGate(program)
            awaitDeparture(program, occupied)
        }
    }

    private func closeGate(_ program: Program) {
        program.exchange(gate, 1, .sequentiallyConsistent)
        if flaw != .noMembarrierAfterGate && !withoutMembarrier { program.membarrier() }
    }

    private func openGate(_ program: Program) {
        program.store(gate, 0, flaw == .gateOpenedPlainly ? .relaxed : .releasing)
        program.futexWakeAll(gate)
    }

    /// With the gate closed: until all slots are empty.
    private func awaitReaders(_ program: Program, _ occupied: Register) {
        if flaw != .membarrierEachTurn { announce(program) }
        program.loop {
            if flaw == .membarrierEachTurn { announce(program) }
            sleepWhileOccupied(program, occupied)
            program.when(occupied == 0) { program.exitLoop() }
        }
    }

    /// With the gate open: until some reader has left, or all have.
    private func awaitDeparture(_ program: Program, _ occupied: Register) {
        announce(program)
        sleepWhileOccupied(program, occupied)
    }

    private func announce(_ program: Program) {
        program.exchange(writerWaiting, 1, .sequentiallyConsistent)
        if flaw != .noMembarrierAfterWaiting && !withoutMembarrier { program.membarrier() }
    }

    private func sleepWhileOccupied(_ program: Program, _ occupied: Register) {
        let before = program.register("before")
        if flaw != .drainLoadedLate { program.load(drain, into: before) }
        scan(program, into: occupied)
        program.when(occupied != 0) {
            if flaw == .drainLoadedLate { program.load(drain, into: before) }
            program.futexWait(drain, .register(before), into: program.register("woken"))
        }
    }

    /// `SlotList.reader`: one slot after the other, until one is taken.
    private func scan(_ program: Program, into occupied: Register) {
        program.loop {
            for index in 0..<slotCount {
                program.load(slots[index], into: occupied)
                program.when(occupied != 0) { program.exitLoop() }
            }
            program.exitLoop()
        }
    }

    /// `RWCore.unlockExclusively`
    private func writeUnlock(_ program: Program) {
        program.store(writerWaiting, 0, .relaxed)
        openGate(program)
        program.endTurn(writers)
    }
}
