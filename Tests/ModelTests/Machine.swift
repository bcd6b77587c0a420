import Glibc

/// When the stores of a thread reach memory.
enum MemoryModel: String, CaseIterable, Sendable {
    /// At once: what most people have in mind.
    case sequentialConsistency
    /// x86-64: each thread has one queue of stores. Loads look into their own queue first; read-modify-write
    /// operations, fences and system calls empty it.
    case totalStoreOrder
    /// arm64's stores, roughly: those to different words reach memory in any order. A releasing store waits for all
    /// earlier ones, a sequentially consistent load for the thread's own sequentially consistent stores, and a
    /// read-modify-write operation that is only acquiring, or fails, empties nothing.
    ///
    /// Not in this model: loads carried out early. Where two loads must not change places, that has to be argued
    /// apart, or written out as a choice between both orders.
    case partialStoreOrder
}

/// One step of one thread.
struct Step {
    enum Kind {
        /// The thread carries out its next instruction.
        case execute
        /// The `choice`-th store of its buffer reaches memory.
        case flush
        /// It returns from a futex wait without having been woken.
        case spurious
    }

    let thread: Int
    let kind: Kind
    let choice: Int
}

/// Carries out single steps on states.
///
/// A state is a row of bytes: the shared words, then a block for each thread.
///
///     | memory ... | pc | asleep | barrier | stores | registers ... | (order and word, value) ... | next thread ...
final class Machine {
    static let pc = 0
    /// The word on which the thread sleeps, plus 1; 0 when it is awake.
    static let asleep = 1
    /// The threads whose buffers must still become empty before this thread's membarrier ends.
    static let barrier = 2
    static let stores = 3
    static let firstRegister = 4

    let model: Model
    let memoryModel: MemoryModel
    /// How many stores a thread can have on their way. One more waits until the first has reached memory.
    let bufferCapacity: Int
    let wordCount: Int
    let threadCount: Int
    let blockSize: Int
    let firstStore: Int
    /// Bytes in a state: a multiple of 8.
    let stateSize: Int

    // SAFETY: `state`, `spare` and the code are allocated in init and freed in deinit; `state` has `stateSize` bytes.
    /// The state that steps are carried out on.
    let state: UnsafeMutablePointer<UInt8>
    private let spare: UnsafeMutablePointer<UInt8>
    private let code: [UnsafeMutablePointer<Instruction>]
    /// For each thread the first one of those that run the same program.
    private let twins: [Int]
    /// Which thread a block belonged to at first. Kept for the trace only; the search does without.
    var identities: [Int]
    /// What a ghost step found wrong.
    private(set) var violation: String?

    /// Whether states that differ in nothing that matters are taken for one: see `arrange` and `forget`.
    private let reduces: Bool

    init(_ model: Model, _ memoryModel: MemoryModel, bufferCapacity: Int, reduces: Bool) {
        self.reduces = reduces
        self.model = model
        self.memoryModel = memoryModel
        self.bufferCapacity = bufferCapacity
        wordCount = model.initial.count
        threadCount = model.threads.count
        let registers = model.threads.map(\.registers.count).max() ?? 0
        firstStore = Self.firstRegister + registers
        blockSize = firstStore + 2 * bufferCapacity
        stateSize = (wordCount + threadCount * blockSize + 7) / 8 * 8
        precondition(wordCount < 64 && threadCount <= 8)
        state = .allocate(capacity: stateSize)
        state.initialize(repeating: 0, count: stateSize)
        spare = .allocate(capacity: blockSize)
        spare.initialize(repeating: 0, count: blockSize)
        var compiled: [ObjectIdentifier: UnsafeMutablePointer<Instruction>] = [:]
        code = model.threads.map { program in
            if let known = compiled[ObjectIdentifier(program)] { return known }
            let instructions = program.withLiveness()
            precondition(instructions.count < 256)
            let copy = UnsafeMutablePointer<Instruction>.allocate(capacity: instructions.count)
            copy.initialize(from: instructions, count: instructions.count)
            compiled[ObjectIdentifier(program)] = copy
            return copy
        }
        identities = Array(0..<threadCount)
        twins = model.threads.map { program in model.threads.firstIndex { $0 === program } ?? 0 }
    }

    deinit {
        for thread in 0..<threadCount where twins[thread] == thread { code[thread].deallocate() }
        spare.deallocate()
        state.deallocate()
    }

    /// Makes `state` the state in which all threads are before their first instruction.
    func begin() {
        memset(state, 0, stateSize)
        for (index, value) in model.initial.enumerated() { state[index] = value }
        for thread in 0..<threadCount { runLocally(thread) }
        arrange()
    }

    @inline(__always)
    func block(_ thread: Int) -> UnsafeMutablePointer<UInt8> { state + (wordCount + thread * blockSize) }

    private func instruction(_ thread: Int) -> UnsafeMutablePointer<Instruction> {
        code[thread] + Int(block(thread)[Self.pc])
    }

    func isFinished(_ thread: Int) -> Bool {
        instruction(thread).pointee.operation == .finish && block(thread)[Self.stores] == 0
    }

    var allFinished: Bool {
        for thread in 0..<threadCount where !isFinished(thread) { return false }
        return true
    }

    // MARK: Which steps there are

    /// How many ways the thread has to carry out its next instruction; 0 while it cannot.
    func waysToExecute(_ thread: Int) -> Int {
        let block = block(thread)
        if block[Self.asleep] != 0 { return 0 }
        let next = instruction(thread)
        switch next.pointee.operation {
        case .finish: return 0
        case .choose: return next.pointee.target
        case .futexWake:
            guard operand(next.pointee.value, block) == 1 else { return 1 }
            return max(1, sleepers(on: address(next, block)))
        default: return isReady(block, next) ? 1 : 0
        }
    }

    private func isReady(_ block: UnsafeMutablePointer<UInt8>, _ next: UnsafeMutablePointer<Instruction>) -> Bool {
        switch next.pointee.operation {
        case .membarrierEnd: block[Self.barrier] == 0
        case .takeTurn: state[address(next, block)] == 0
        case .store: canStore(block, next.pointee.order)
        case .load: canLoad(block, next.pointee.order)
        case .exchange, .add, .compareExchange: canModify(block, next)
        default: true
        }
    }

    /// How many stores of the buffer may reach memory next.
    func stores(_ thread: Int) -> Int { Int(block(thread)[Self.stores]) }

    /// Whether the thread's `index`-th store may be the next to reach memory.
    func canFlush(_ thread: Int, _ index: Int) -> Bool {
        if index == 0 { return true }
        guard memoryModel == .partialStoreOrder else { return false }
        let buffer = block(thread) + firstStore
        let store = buffer[2 * index]
        // The two topmost bits are the order.
        if store >> 6 != 0 { return false }
        for earlier in 0..<index where buffer[2 * earlier] & 63 == store & 63 { return false }
        return true
    }

    func isAsleep(_ thread: Int) -> Bool { block(thread)[Self.asleep] != 0 }

    private func canStore(_ block: UnsafeMutablePointer<UInt8>, _ order: Order) -> Bool {
        Int(block[Self.stores]) < bufferCapacity
            || (order == .sequentiallyConsistent && memoryModel == .totalStoreOrder)
    }

    private func canLoad(_ block: UnsafeMutablePointer<UInt8>, _ order: Order) -> Bool {
        guard order == .sequentiallyConsistent, memoryModel == .partialStoreOrder else { return true }
        let buffer = block + firstStore
        for index in 0..<Int(block[Self.stores])
        where buffer[2 * index] >> 6 == Order.sequentiallyConsistent.rawValue { return false }
        return true
    }

    private func canModify(_ block: UnsafeMutablePointer<UInt8>, _ next: UnsafeMutablePointer<Instruction>) -> Bool {
        guard memoryModel == .partialStoreOrder else { return true }
        guard canLoad(block, next.pointee.order) else { return false }
        let buffer = block + firstStore
        let address = address(next, block)
        for index in 0..<Int(block[Self.stores]) where Int(buffer[2 * index] & 63) == address { return false }
        return true
    }

    private func sleepers(on address: Int) -> Int {
        var count = 0
        for thread in 0..<threadCount where Int(block(thread)[Self.asleep]) == address + 1 { count += 1 }
        return count
    }

    // MARK: Carrying them out

    /// Carries out a step that is possible.
    func carryOut(_ step: Step) {
        let block = block(step.thread)
        switch step.kind {
        case .flush:
            flush(step.thread, step.choice)
        case .spurious:
            wake(step.thread, result: 0)
        case .execute:
            execute(step.thread, block, step.choice)
        }
    }

    private func execute(_ thread: Int, _ block: UnsafeMutablePointer<UInt8>, _ choice: Int) {
        let next = instruction(thread)
        switch next.pointee.operation {
        case .load, .store: access(thread, block, next)
        case .exchange, .add, .compareExchange: modify(thread, block, next)
        case .futexWait:
            drain(thread)
            let address = address(next, block)
            if state[address] == operand(next.pointee.value, block) {
                block[Self.asleep] = UInt8(address + 1)
                return
            }
            put(0, block, next)
        case .futexWake:
            drain(thread)
            put(wakeSleepers(on: address(next, block), operand(next.pointee.value, block), choice), block, next)
        case .fence: drain(thread)
        case .membarrier:
            drain(thread)
            block[Self.barrier] = threadsWithStores()
        case .takeTurn:
            drain(thread)
            state[address(next, block)] = 1
        case .choose: put(UInt8(choice), block, next)
        case .ghost:
            let ghost = Ghost(memory: state, registers: block + Self.firstRegister)
            violation = model.threads[thread].ghosts[next.pointee.target](ghost)
        default: break
        }
        proceed(thread, next)
    }

    private func access(_ thread: Int, _ block: UnsafeMutablePointer<UInt8>, _ next: UnsafeMutablePointer<Instruction>)
    {
        let address = address(next, block)
        guard next.pointee.operation == .store else { return put(seen(block, address), block, next) }
        let value = operand(next.pointee.value, block)
        let order = next.pointee.order
        if memoryModel == .sequentialConsistency {
            state[address] = value
        } else if memoryModel == .totalStoreOrder && order == .sequentiallyConsistent {
            drain(thread)
            state[address] = value
        } else {
            let store = block + (firstStore + 2 * Int(block[Self.stores]))
            // In a queue all stores keep their order anyway: states that differ in it only are one.
            let rank = memoryModel == .totalStoreOrder ? 0 : order.rawValue
            store[0] = UInt8(address) | rank << 6
            store[1] = value
            block[Self.stores] += 1
        }
    }

    private func modify(_ thread: Int, _ block: UnsafeMutablePointer<UInt8>, _ next: UnsafeMutablePointer<Instruction>)
    {
        let address = address(next, block)
        let value = operand(next.pointee.value, block)
        let fails = next.pointee.operation == .compareExchange && state[address] != value
        if memoryModel != .partialStoreOrder || (!fails && next.pointee.order != .relaxed) { drain(thread) }
        // Read after the drain: on x86-64 the own stores are in it.
        let old = state[address]
        switch next.pointee.operation {
        case .exchange: state[address] = value
        case .add: state[address] = old &+ value
        default: if old == value { state[address] = operand(next.pointee.desired, block) }
        }
        put(old, block, next)
    }

    /// What the thread's loads see: its own newest store, else memory.
    private func seen(_ block: UnsafeMutablePointer<UInt8>, _ address: Int) -> UInt8 {
        let buffer = block + firstStore
        var index = Int(block[Self.stores])
        while index > 0 {
            index -= 1
            if Int(buffer[2 * index] & 63) == address { return buffer[2 * index + 1] }
        }
        return state[address]
    }

    private func drain(_ thread: Int) {
        let block = block(thread)
        // Each turn removes a store.
        while block[Self.stores] > 0 { flush(thread, 0) }
    }

    private func flush(_ thread: Int, _ index: Int) {
        let block = block(thread)
        let buffer = block + firstStore
        state[Int(buffer[2 * index] & 63)] = buffer[2 * index + 1]
        block[Self.stores] -= 1
        let count = Int(block[Self.stores])
        memmove(buffer + 2 * index, buffer + (2 * index + 2), 2 * (count - index))
        buffer[2 * count] = 0
        buffer[2 * count + 1] = 0
        guard count == 0 else { return }
        for waiter in 0..<threadCount { self.block(waiter)[Self.barrier] &= ~(1 << UInt8(thread)) }
    }

    private func threadsWithStores() -> UInt8 {
        var mask: UInt8 = 0
        for thread in 0..<threadCount where block(thread)[Self.stores] > 0 { mask |= 1 << UInt8(thread) }
        return mask
    }

    private func wakeSleepers(on address: Int, _ most: UInt8, _ choice: Int) -> UInt8 {
        var passed = 0
        var woken: UInt8 = 0
        for thread in 0..<threadCount where Int(block(thread)[Self.asleep]) == address + 1 {
            if most > 1 || passed == choice {
                wake(thread, result: 1)
                woken += 1
            }
            passed += 1
        }
        return woken
    }

    private func wake(_ thread: Int, result: UInt8) {
        let block = block(thread)
        block[Self.asleep] = 0
        let wait = instruction(thread)
        put(result, block, wait)
        proceed(thread, wait)
    }

    private func put(_ value: UInt8, _ block: UnsafeMutablePointer<UInt8>, _ next: UnsafeMutablePointer<Instruction>) {
        if next.pointee.into >= 0 { block[Self.firstRegister + next.pointee.into] = value }
    }

    private func operand(_ operand: Operand, _ block: UnsafeMutablePointer<UInt8>) -> UInt8 {
        switch operand {
        case .value(let value): UInt8(truncatingIfNeeded: value)
        case .register(let register): block[Self.firstRegister + register.index]
        }
    }

    private func address(_ next: UnsafeMutablePointer<Instruction>, _ block: UnsafeMutablePointer<UInt8>) -> Int {
        let offset = next.pointee.offset
        return offset < 0 ? next.pointee.base : next.pointee.base + Int(block[Self.firstRegister + offset])
    }

    /// Goes on behind a carried out instruction, to the next that others can notice.
    private func proceed(_ thread: Int, _ done: UnsafeMutablePointer<Instruction>) {
        block(thread)[Self.pc] += 1
        forget(thread, except: done.pointee.live)
        runLocally(thread)
    }

    private func runLocally(_ thread: Int) {
        let block = block(thread)
        var steps = 0
        while true {
            let next = instruction(thread)
            guard next.pointee.operation.isLocal else { return }
            steps += 1
            precondition(steps < 1000, "\(model.threads[thread].name) goes round in circles by itself")
            let value = operand(next.pointee.value, block)
            switch next.pointee.operation {
            case .set: put(value &+ UInt8(next.pointee.target), block, next)
            case .jump: break
            default:
                let isEqual = block[Self.firstRegister + next.pointee.into] == value
                if isEqual == next.pointee.comparesEqual {
                    block[Self.pc] += 1
                    forget(thread, except: next.pointee.live)
                    continue
                }
            }
            let jumps = next.pointee.operation != .set
            block[Self.pc] = jumps ? UInt8(next.pointee.target) : block[Self.pc] + 1
            forget(thread, except: next.pointee.live)
        }
    }

    /// Clears the registers that nothing reads any more. Those read on another branch stay: that is only less.
    private func forget(_ thread: Int, except live: UInt64) {
        guard reduces else { return }
        let registers = block(thread) + Self.firstRegister
        for index in 0..<(firstStore - Self.firstRegister) where live & (1 << UInt64(index)) == 0 {
            registers[index] = 0
        }
    }

    // MARK: Interchangeable threads

    /// Sorts the blocks of threads that run the same program: which of them does what makes no difference.
    func arrange() {
        guard reduces else { return }
        for thread in 1..<max(1, threadCount) {
            var place = thread
            while place > twins[thread] && memcmp(block(place), block(place - 1), blockSize) < 0 {
                swapThreads(place, place - 1)
                place -= 1
            }
        }
    }

    private func swapThreads(_ one: Int, _ other: Int) {
        memcpy(spare, block(one), blockSize)
        memcpy(block(one), block(other), blockSize)
        memcpy(block(other), spare, blockSize)
        identities.swapAt(one, other)
        for thread in 0..<threadCount {
            let mask = block(thread)[Self.barrier]
            let differs = (mask >> UInt8(one) ^ mask >> UInt8(other)) & 1
            block(thread)[Self.barrier] = mask ^ (differs << UInt8(one) | differs << UInt8(other))
        }
    }

    // MARK: In words

    /// What a step does, before it is carried out.
    func describe(_ step: Step) -> String {
        let program = model.threads[step.thread]
        let block = block(step.thread)
        let name = "\(program.name) \(identities[step.thread])"
        switch step.kind {
        case .spurious: return "\(name): returns from its futex wait for no reason"
        case .flush:
            let store = block + (firstStore + 2 * step.choice)
            return "\(name): [store buffer] \(model.names[Int(store[0] & 63)]) := \(store[1]) reaches memory"
        case .execute:
            return "\(name): \(program.texts[Int(block[Self.pc])])\(values(step.thread))"
        }
    }

    /// What an instruction finds, or stores, in this state.
    private func values(_ thread: Int) -> String {
        let block = block(thread)
        let next = instruction(thread)
        switch next.pointee.operation {
        case .load, .exchange, .compareExchange, .add, .futexWait:
            return ", finds \(seen(block, address(next, block)))"
        case .store: return ", \(operand(next.pointee.value, block)) into its store buffer"
        default: return ""
        }
    }

    /// The shared words and what the threads do, in one line.
    func summary() -> String {
        let words = model.names.indices.map { "\(model.names[$0])=\(state[$0])" }
        let threads = (0..<threadCount).map { thread in
            let what = isAsleep(thread) ? "asleep" : isFinished(thread) ? "finished" : "awake"
            return "\(model.threads[thread].name) \(identities[thread]) \(what)"
        }
        return (words + threads).joined(separator: ", ")
    }
}
