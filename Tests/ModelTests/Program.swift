/// A word of shared memory, possibly one of an array chosen by a register.
struct Word {
    let base: Int
    let offset: Register?
}

/// Words of shared memory that lie side by side.
struct WordArray {
    let base: Int

    subscript(index: Int) -> Word { Word(base: base + index, offset: nil) }

    subscript(register: Register) -> Word { Word(base: base, offset: register) }
}

/// What a thread remembers.
struct Register {
    let index: Int

    static func == (left: Register, right: Operand) -> Condition { Condition(left: left, isEqual: true, right: right) }

    static func != (left: Register, right: Operand) -> Condition { Condition(left: left, isEqual: false, right: right) }
}

enum Operand: ExpressibleByIntegerLiteral {
    case value(Int)
    case register(Register)

    init(integerLiteral value: Int) { self = .value(value) }
}

struct Condition {
    let left: Register
    let isEqual: Bool
    let right: Operand
}

/// The memory orders that make a difference to a store buffer.
///
/// Loads are executed in program order in every memory model here, so an acquiring load is a plain one.
enum Order: UInt8 {
    /// Also stands for acquiring.
    case relaxed
    /// Also stands for acquiring and releasing.
    case releasing
    case sequentiallyConsistent
}

/// What a ghost step sees: memory itself, past all store buffers, and the registers of its thread.
///
/// Ghost steps say what must hold; they stand for no code.
struct Ghost {
    // SAFETY: both point into the explorer's scratch state and are used only while the step is carried out.
    let memory: UnsafeMutablePointer<UInt8>
    let registers: UnsafeMutablePointer<UInt8>

    subscript(word: Word) -> Int {
        get { Int(memory[address(word)]) }
        nonmutating set { memory[address(word)] = UInt8(newValue) }
    }

    subscript(register: Register) -> Int {
        get { Int(registers[register.index]) }
        nonmutating set { registers[register.index] = UInt8(newValue) }
    }

    private func address(_ word: Word) -> Int {
        guard let offset = word.offset else { return word.base }
        return word.base + Int(registers[offset.index])
    }
}

enum Operation: UInt8 {
    // Steps that other threads can notice: each is one step of the search.
    case load, store, exchange, compareExchange, add
    case fence, membarrier, membarrierEnd, futexWait, futexWake
    case takeTurn, ghost, choose, finish
    // Steps of the thread alone: done together with the step before them.
    case set, jump, jumpUnless

    var isLocal: Bool { rawValue >= Operation.set.rawValue }
}

/// One instruction, flat and without references, for the search's inner loop.
struct Instruction {
    var operation: Operation
    var order = Order.relaxed
    var base = 0
    var offset = -1
    /// What is stored, compared with, or counted.
    var value = Operand.value(0)
    var desired = Operand.value(0)
    var into = -1
    /// Where a jump goes to; the number of a ghost step; the number of choices.
    var target = 0
    var comparesEqual = true
    /// The registers that hold something still needed after this instruction.
    var live: UInt64 = 0
}

/// The program of one thread, written down instruction by instruction.
///
/// Threads with the very same program are interchangeable, and the search makes use of that.
final class Program {
    let name: String
    private(set) var code: [Instruction] = []
    private(set) var texts: [String] = []
    private(set) var ghosts: [(Ghost) -> String?] = []
    private var ghostReads: [UInt64] = []
    private(set) var registers: [String] = []
    private var loops: [(start: Int, exits: [Int])] = []

    init(_ name: String) { self.name = name }

    /// A register: one for each name, zero at first.
    func register(_ name: String) -> Register {
        if let index = registers.firstIndex(of: name) { return Register(index: index) }
        registers.append(name)
        precondition(registers.count <= 64)
        return Register(index: registers.count - 1)
    }

    // MARK: Shared words

    func load(_ word: Word, into register: Register, _ order: Order = .relaxed) {
        emit(.load, word, order: order, into: register, text: "\(named(register)) = \(named(word))")
    }

    func store(_ word: Word, _ value: Operand, _ order: Order = .relaxed) {
        emit(.store, word, order: order, value: value, text: "\(named(word)) := \(named(value)) (\(order))")
    }

    /// `into`: what the word held before.
    func exchange(_ word: Word, _ value: Operand, into register: Register? = nil, _ order: Order) {
        emit(
            .exchange,
            word,
            order: order,
            value: value,
            into: register,
            text: "exchange \(named(word)) := \(named(value))"
        )
    }

    /// `into`: what the word held before; the exchange took place when that is `expected`.
    func compareExchange(
        _ word: Word,
        expected: Operand,
        desired: Operand,
        into register: Register,
        _ order: Order
    ) {
        let text = "compare-exchange \(named(word)): \(named(expected)) -> \(named(desired))"
        emit(.compareExchange, word, order: order, value: expected, desired: desired, into: register, text: text)
    }

    func add(_ word: Word, _ value: Int, into register: Register? = nil, _ order: Order) {
        emit(.add, word, order: order, value: .value(value & 255), into: register, text: "\(named(word)) += \(value)")
    }

    // MARK: Barriers and the kernel

    func fence() { emit(.fence, text: "full fence") }

    /// Every other thread's store buffer has been empty at some moment before it returns.
    func membarrier() {
        emit(.membarrier, text: "membarrier begins")
        emit(.membarrierEnd, text: "membarrier ends")
    }

    /// `into`: 1 when woken, 0 when the word held something else or for no reason.
    func futexWait(_ word: Word, _ expected: Operand, into register: Register) {
        emit(.futexWait, word, value: expected, into: register, text: "futex wait \(named(word)) == \(named(expected))")
    }

    /// Wakes one. `into`: how many were woken.
    func futexWakeOne(_ word: Word, into register: Register? = nil) {
        emit(.futexWake, word, value: 1, into: register, text: "futex wake one on \(named(word))")
    }

    func futexWakeAll(_ word: Word) { emit(.futexWake, word, value: 255, text: "futex wake all on \(named(word))") }

    // MARK: What stands for no code

    /// Takes a lock that is not in question: waits until the word is 0 and sets it to 1.
    func takeTurn(_ word: Word) { emit(.takeTurn, word, text: "take turn \(named(word))") }

    /// Gives back what ``takeTurn(_:)`` took.
    func endTurn(_ word: Word) { exchange(word, 0, .sequentiallyConsistent) }

    /// A step that only checks and counts. `body` returns what is wrong.
    func ghost(_ text: String, reads: [Register] = [], into: Register? = nil, _ body: @escaping (Ghost) -> String?) {
        ghosts.append(body)
        ghostReads.append(reads.reduce(0) { $0 | 1 << UInt64($1.index) })
        emit(.ghost, into: into, target: ghosts.count - 1, text: text)
    }

    /// Any number below `count`.
    func choose(below count: Int, into register: Register) {
        emit(.choose, into: register, target: count, text: "choose \(named(register))")
    }

    // MARK: Control

    func set(_ register: Register, _ value: Operand) { emit(.set, value: value, into: register) }

    func when(_ condition: Condition, _ body: () -> Void, otherwise: (() -> Void)? = nil) {
        let test = jumpUnless(condition)
        body()
        guard let otherwise else {
            code[test].target = code.count
            return
        }
        let end = code.count
        emit(.jump)
        code[test].target = code.count
        otherwise()
        code[end].target = code.count
    }

    /// Repeats until ``exitLoop()``.
    func loop(_ body: () -> Void) {
        loops.append((code.count, []))
        body()
        again()
        for exit in loops.removeLast().exits { code[exit].target = code.count }
    }

    func exitLoop() {
        loops[loops.count - 1].exits.append(code.count)
        emit(.jump)
    }

    /// Begins the innermost loop's next turn.
    func again() { emit(.jump, target: loops[loops.count - 1].start) }

    func times(_ count: Int, _ body: () -> Void) {
        if count == 1 { return body() }
        let round = register("round")
        set(round, 0)
        loop {
            body()
            increase(round)
            when(round == .value(count)) { exitLoop() }
        }
    }

    func increase(_ register: Register, by amount: UInt8 = 1) {
        emit(.set, value: .register(register), into: register, target: Int(amount))
    }

    func finish() { emit(.finish, text: "finish") }

    // MARK: -

    private func jumpUnless(_ condition: Condition) -> Int {
        emit(.jumpUnless, value: condition.right, into: condition.left)
        code[code.count - 1].comparesEqual = condition.isEqual
        return code.count - 1
    }

    private func emit(
        _ operation: Operation,
        _ word: Word? = nil,
        order: Order = .relaxed,
        value: Operand = 0,
        desired: Operand = 0,
        into: Register? = nil,
        target: Int = 0,
        text: String = ""
    ) {
        var instruction = Instruction(operation: operation)
        instruction.order = order
        instruction.base = word?.base ?? 0
        instruction.offset = word?.offset?.index ?? -1
        instruction.value = value
        instruction.desired = desired
        instruction.into = into?.index ?? -1
        instruction.target = target
        code.append(instruction)
        texts.append(text)
    }

    /// Names of the shared words, for the texts: set by the model that made them.
    var wordNames: [String] = []

    private func named(_ word: Word) -> String {
        let name = wordNames.indices.contains(word.base) ? wordNames[word.base] : "word \(word.base)"
        guard let offset = word.offset else { return name }
        return "\(name.prefix { $0 != "[" })[\(registers[offset.index])]"
    }

    private func named(_ register: Register) -> String { registers[register.index] }

    private func named(_ operand: Operand) -> String {
        switch operand {
        case .value(let value): "\(value)"
        case .register(let register): named(register)
        }
    }
}

extension Program {
    /// The code with what each instruction leaves behind that is still needed.
    ///
    /// The search clears the other registers, so that states which differ only in leftovers are one.
    func withLiveness() -> [Instruction] {
        var code = code
        var needed = [UInt64](repeating: 0, count: code.count)
        var changed = true
        // Each turn but the last adds a bit to some instruction, so it ends.
        while changed {
            changed = false
            for index in code.indices.reversed() {
                code[index].live = successors(of: index).reduce(0) { $0 | needed[$1] }
                let (reads, writes) = registersUsed(by: code[index])
                let before = (code[index].live & ~writes) | reads
                if before != needed[index] {
                    needed[index] = before
                    changed = true
                }
            }
        }
        return code
    }

    private func successors(of index: Int) -> [Int] {
        switch code[index].operation {
        case .finish: []
        case .jump: [code[index].target]
        case .jumpUnless: [index + 1, code[index].target]
        default: [index + 1]
        }
    }

    private func registersUsed(by instruction: Instruction) -> (reads: UInt64, writes: UInt64) {
        var reads: UInt64 = 0
        for case .register(let register) in [instruction.value, instruction.desired] {
            reads |= 1 << UInt64(register.index)
        }
        if instruction.offset >= 0 { reads |= 1 << UInt64(instruction.offset) }
        if instruction.operation == .ghost { reads |= ghostReads[instruction.target] }
        let target: UInt64 = instruction.into >= 0 ? 1 << UInt64(instruction.into) : 0
        return instruction.operation == .jumpUnless ? (reads | target, 0) : (reads, target)
    }
}

/// Shared words by name, and the threads that work on them.
struct Model {
    private(set) var names: [String] = []
    private(set) var initial: [UInt8] = []
    private(set) var threads: [Program] = []

    mutating func word(_ name: String, _ value: Int = 0) -> Word {
        names.append(name)
        initial.append(UInt8(value))
        return Word(base: names.count - 1, offset: nil)
    }

    mutating func words(_ name: String, _ values: [Int]) -> WordArray {
        let base = names.count
        for (index, value) in values.enumerated() { _ = word("\(name)[\(index)]", value) }
        return WordArray(base: base)
    }

    /// Adds `count` threads that all run what `write` writes down. All words must be there by now.
    mutating func threads(_ count: Int = 1, _ name: String, _ write: (Program) -> Void) {
        let program = Program(name)
        program.wordNames = names
        write(program)
        program.finish()
        threads += Array(repeating: program, count: count)
    }
}
