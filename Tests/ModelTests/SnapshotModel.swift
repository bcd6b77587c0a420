/// The snapshot cell and its readers (`SnapshotCell.swift`, `SnapshotReader.swift`): reclamation by sticky hazard.
///
/// Objects are numbers from 1, which stand for their addresses. An object that has been freed is the next one to be
/// allocated again, as an address would be; `lives` tells the objects at one address apart.
struct SnapshotModel {
    /// What is left out or turned round, to see the check fail.
    enum Flaw: CaseIterable {
        case none
        /// The hazard is a plain store: it may still be in the buffer at the second look.
        case plainHazard
        /// The hazard is a releasing store, and so no better.
        case releasingHazard
        /// The reader uses the object without looking again whether it is still the newest.
        case noSecondLook
        /// The publisher looks through the hazards before it swaps the object.
        case scanBeforeSwap
        /// The publisher learns which slots there are before it swaps the object.
        case slotsCountedBeforeSwap
        /// A new slot comes into the list only after its reader has stored its first hazard and looked again.
        case linkedLate
        /// A slot comes into the list before it is marked as taken.
        case linkedUntaken
        /// Freed as soon as replaced.
        case noScan
        /// A reader that leaves gives up its slot first and its hazard after that.
        case slotGivenUpFirst
    }

    /// Which side pays for the order of the reader's store and load.
    enum Barrier {
        /// The reader, with a sequentially consistent store.
        case reader
        /// The publisher, with a `membarrier` between swap and scan.
        case publisher
    }

    /// What a reader does, one after the other.
    enum Act {
        case read, park
        /// Leaves, and begins anew as another reader.
        case leave
    }

    private let flaw: Flaw
    private let barrier: Barrier
    private let objects: Int
    private let readerCount: Int
    private let current: Word
    private let slotCount: Word
    private let lock: Word
    private let retired: Word
    private let keptForReaders: Word
    private let hazards: WordArray
    private let taken: WordArray
    private let alive: WordArray
    private let lives: WordArray
    private(set) var model = Model()

    /// - Parameters:
    ///   - readers: what each reader does; those that do the same are interchangeable.
    ///   - publications: how often each publisher publishes.
    init(readers: [[Act]], publications: [Int], flaw: Flaw = .none, barrier: Barrier = .reader) {
        self.flaw = flaw
        self.barrier = barrier
        readerCount = readers.count
        objects = publications.reduce(1, +)
        precondition(objects < 8)
        current = model.word("current", 1)
        slotCount = model.word("slotCount")
        lock = model.word("publishers")
        retired = model.word("retired")
        keptForReaders = model.word("keptForReaders")
        hazards = model.words("hazard", readers.map { _ in 0 })
        // A slot is made for its first reader, and belongs to it when it comes into the list.
        taken = model.words("taken", readers.map { _ in flaw == .linkedUntaken ? 0 : 1 })
        alive = model.words("alive", [0, 1] + Array(repeating: 0, count: objects - 1))
        lives = model.words("lives", Array(repeating: 0, count: objects + 1))
        let this = self
        for acts in Set(readers) {
            model.threads(readers.filter { $0 == acts }.count, "reader") { program in this.reader(program, acts) }
        }
        for count in Set(publications).sorted() {
            model.threads(publications.filter { $0 == count }.count, "publisher") { program in
                program.times(count) { this.publish(program) }
            }
        }
    }

    // MARK: Readers

    private func reader(_ program: Program, _ acts: [Act]) {
        let protected = program.register("protected")
        claimSlot(program)
        for act in acts {
            switch act {
            case .read: read(program)
            case .park:
                giveUpHazard(program)
                program.set(protected, 0)
            case .leave:
                leave(program)
                program.set(protected, 0)
                claimSlot(program)
            }
        }
        leave(program)
    }

    /// `SlotList.claim`: slots are numbered in the order of the list, the newest last.
    private func claimSlot(_ program: Program) {
        let mine = program.register("mine")
        let wasTaken = program.register("wasTaken")
        if flaw == .linkedLate { return program.set(mine, 0) }
        program.load(slotCount, into: mine)
        program.loop {
            program.when(mine == 0) {
                // In the code a compare-exchange of the list's head, repeated until it succeeds.
                program.add(slotCount, 1, into: mine, .sequentiallyConsistent)
                if flaw == .linkedUntaken { program.exchange(taken[mine], 1, .sequentiallyConsistent) }
                program.exitLoop()
            }
            decrease(program, mine)
            program.compareExchange(taken[mine], expected: 0, desired: 1, into: wasTaken, .relaxed)
            program.when(wasTaken == 0) { program.exitLoop() }
        }
    }

    /// `SnapshotReader.withSnapshot`
    private func read(_ program: Program) {
        let newest = program.register("newest")
        let protected = program.register("protected")
        program.load(current, into: newest)
        program.when(newest != .register(protected)) { protect(program) }
        use(program)
    }

    /// `protect`
    private func protect(_ program: Program) {
        let newest = program.register("newest")
        let protected = program.register("protected")
        let mine = program.register("mine")
        let order: Order =
            flaw == .plainHazard || barrier == .publisher
            ? .relaxed : flaw == .releasingHazard ? .releasing : .sequentiallyConsistent
        program.loop {
            program.set(protected, .register(newest))
            program.store(hazards[mine], .register(protected), order)
            if flaw == .noSecondLook { program.exitLoop() }
            program.load(current, into: newest, barrier == .reader ? .sequentiallyConsistent : .relaxed)
            program.when(newest == .register(protected)) { program.exitLoop() }
        }
        if flaw == .linkedLate { program.exchange(slotCount, 1, .sequentiallyConsistent) }
    }

    /// The body of the read. What is used must be alive, and the same object, from beginning to end.
    private func use(_ program: Program) {
        let (alive, lives) = (alive, lives)
        let protected = program.register("protected")
        let life = program.register("life")
        program.ghost("begins to use its object", reads: [protected], into: life) { ghost in
            ghost[life] = ghost[lives[protected]]
            return ghost[alive[protected]] == 1 ? nil : "a reader uses a freed object"
        }
        program.ghost("ends to use its object", reads: [protected, life]) { ghost in
            let isSame = ghost[alive[protected]] == 1 && ghost[life] == ghost[lives[protected]]
            return isSame ? nil : "an object was freed while a reader used it"
        }
    }

    /// `ReaderSlot.giveUp`
    private func giveUpHazard(_ program: Program) {
        program.store(hazards[program.register("mine")], 0, .sequentiallyConsistent)
    }

    /// `SnapshotReader.deinit`
    private func leave(_ program: Program) {
        let mine = program.register("mine")
        if flaw == .slotGivenUpFirst { program.store(taken[mine], 0, .releasing) }
        giveUpHazard(program)
        if flaw != .slotGivenUpFirst { program.store(taken[mine], 0, .releasing) }
    }

    // MARK: Publishers

    /// `SnapshotCell.publish`
    private func publish(_ program: Program) {
        let new = program.register("new")
        let old = program.register("old")
        let isUsed = program.register("isUsed")
        let unused = program.register("unused")
        let kept = program.register("kept")
        allocate(program, into: new)
        if flaw == .slotsCountedBeforeSwap { program.load(slotCount, into: program.register("slots")) }
        if flaw == .scanBeforeSwap {
            program.load(current, into: old)
            findHazard(program, old, into: isUsed)
        }
        program.exchange(current, .register(new), into: old, .sequentiallyConsistent)
        if barrier == .publisher { program.membarrier() }
        program.load(keptForReaders, into: kept)
        if flaw != .scanBeforeSwap {
            program.set(isUsed, 1)
            program.when(kept == 0) { findHazard(program, old, into: isUsed) }
        }
        program.when(isUsed == 0) {
            program.ghost("the old object is unused", reads: [old], into: unused) { ghost in
                ghost[unused] = 1 << ghost[old]
                return nil
            }
            release(program)
        } otherwise: {
            retire(program, old)
        }
    }

    /// `SnapshotCell.publish`, where the old object is used, or others are retired.
    private func retire(_ program: Program, _ old: Register) {
        let retired = retired
        let kept = program.register("kept")
        program.takeTurn(lock)
        program.ghost("retire the old object", reads: [old]) { ghost in
            ghost[retired] |= 1 << ghost[old]
            return nil
        }
        scan(program)
        program.ghost("count the retired", into: kept) { ghost in
            ghost[kept] = ghost[retired].nonzeroBitCount
            return nil
        }
        program.store(keptForReaders, .register(kept))
        program.endTurn(lock)
        release(program)
    }

    private func allocate(_ program: Program, into new: Register) {
        let (alive, lives, objects, most) = (alive, lives, objects, readerCount + 3)
        program.ghost("allocate", into: new) { ghost in
            guard let free = (1...objects).first(where: { ghost[alive[$0]] == 0 }) else { return "no address left" }
            ghost[alive[free]] = 1
            ghost[lives[free]] += 1
            ghost[new] = free
            return (1...objects).reduce(0) { $0 + ghost[alive[$1]] } <= most ? nil : "more objects than readers and 3"
        }
    }

    /// `SnapshotCell.moveUnused`: which retired objects are in no slot. They are put into `unused`, a set of bits.
    private func scan(_ program: Program) {
        let retired = retired
        let unchecked = program.register("unchecked")
        let unused = program.register("unused")
        let object = program.register("object")
        let isHazardous = program.register("isHazardous")
        program.set(unused, 0)
        program.ghost("look through the retired", into: unchecked) { ghost in
            ghost[unchecked] = ghost[retired]
            return nil
        }
        program.loop {
            program.when(unchecked == 0) { program.exitLoop() }
            program.ghost("next retired object", reads: [unchecked], into: object) { ghost in
                ghost[object] = ghost[unchecked].trailingZeroBitCount
                ghost[unchecked] &= ghost[unchecked] - 1
                return nil
            }
            findHazard(program, object, into: isHazardous)
            program.when(isHazardous == 0) {
                program.ghost("it is unused", reads: [object, unused], into: unused) { ghost in
                    ghost[unused] |= 1 << ghost[object]
                    ghost[retired] &= ~(1 << ghost[object])
                    return nil
                }
            }
        }
    }

    /// `SlotList.names`
    private func findHazard(_ program: Program, _ object: Register, into found: Register) {
        let slot = program.register("slot")
        let hazard = program.register("hazard")
        program.set(found, 0)
        if flaw == .noScan { return }
        if flaw == .slotsCountedBeforeSwap {
            program.set(slot, .register(program.register("slots")))
        } else {
            program.load(slotCount, into: slot, .sequentiallyConsistent)
        }
        program.loop {
            program.when(slot == 0) { program.exitLoop() }
            decrease(program, slot)
            program.load(hazards[slot], into: hazard, .sequentiallyConsistent)
            program.when(hazard == .register(object)) {
                program.set(found, 1)
                program.exitLoop()
            }
        }
    }

    /// The end of `SnapshotCell.publish`, outside the lock.
    private func release(_ program: Program) {
        let alive = alive
        let unused = program.register("unused")
        program.loop {
            program.when(unused == 0) { program.exitLoop() }
            program.ghost("free an unused object", reads: [unused], into: unused) { ghost in
                let object = ghost[unused].trailingZeroBitCount
                ghost[unused] &= ghost[unused] - 1
                let wasAlive = ghost[alive[object]] == 1
                ghost[alive[object]] = 0
                return wasAlive ? nil : "freed twice"
            }
        }
    }

    private func decrease(_ program: Program, _ register: Register) { program.increase(register, by: 255) }
}
