import Glibc

/// How a model can go wrong: a shortest way there.
struct Counterexample: CustomStringConvertible {
    enum Kind: Equatable {
        /// A ghost step said that something does not hold.
        case violation
        /// No thread can go on, and not all have finished: a lost wake-up.
        case deadlock
        /// However the threads go on from here, they never all finish.
        case cannotFinish
    }

    let kind: Kind
    let what: String
    let steps: [String]

    var description: String {
        (["\(kind): \(what)"] + steps.enumerated().map { "\($0.offset + 1). \($0.element)" }).joined(separator: "\n")
    }
}

struct Outcome {
    let states: Int
    let counterexample: Counterexample?
}

/// Visits every state that a model can get into, breadth first.
///
/// Checked in each state: what the ghost steps say; that some thread can go on, or all have finished; and that all
/// can still finish from there. Spurious returns from futex waits do not count as going on: a thread that only such
/// a return can rescue is lost.
final class Explorer {
    private let machine: Machine
    private let withSpuriousReturns: Bool
    private let size: Int
    // All states one behind the other, and for each the state it was first reached from.
    // SAFETY: grown by `reserve` before each use beyond the capacity, freed in deinit.
    private var states: UnsafeMutableRawPointer
    private var capacity: Int
    private var count = 0
    private var cameFrom: [UInt32] = []
    /// Open addressing: the numbers of states plus 1.
    private var table: UnsafeMutablePointer<UInt32>
    private var tableSize = 1 << 12
    private var edges: [(from: UInt32, to: UInt32)] = []
    private var finished: [UInt32] = []

    private init(_ machine: Machine, withSpuriousReturns: Bool) {
        self.machine = machine
        self.withSpuriousReturns = withSpuriousReturns
        size = machine.stateSize
        capacity = 1024
        states = .allocate(byteCount: capacity * size, alignment: 8)
        table = .allocate(capacity: tableSize)
        table.initialize(repeating: 0, count: tableSize)
    }

    deinit {
        states.deallocate()
        table.deallocate()
    }

    /// - Parameters:
    ///   - bufferCapacity: how many stores of a thread can be on their way.
    ///   - reduces: whether states that differ in nothing that matters are taken for one. Changes no verdict.
    ///   - limit: the most states to be looked at. A model that is larger than that is a mistake.
    static func explore(
        _ model: Model,
        _ memoryModel: MemoryModel,
        spuriousReturns: Bool = false,
        bufferCapacity: Int = 6,
        reduces: Bool = true,
        limit: Int = 6_000_000
    ) -> Outcome {
        let machine = Machine(model, memoryModel, bufferCapacity: bufferCapacity, reduces: reduces)
        let explorer = Explorer(machine, withSpuriousReturns: spuriousReturns)
        let counterexample = explorer.run(limit: limit)
        return Outcome(states: explorer.count, counterexample: counterexample)
    }

    private func run(limit: Int) -> Counterexample? {
        machine.begin()
        _ = intern()
        cameFrom.append(0)
        var current = 0
        while current < count {
            precondition(count < limit, "more than \(limit) states")
            if let found = expand(current) { return found }
            current += 1
        }
        return neverFinishing()
    }

    private func expand(_ current: Int) -> Counterexample? {
        var goesOn = false
        var found: Counterexample?
        forEachStep(of: current) { step in
            machine.carryOut(step)
            if let violation = machine.violation {
                found = Counterexample(kind: .violation, what: violation, steps: trace(to: current, then: step))
                return false
            }
            machine.arrange()
            let (index, isNew) = intern()
            if isNew { cameFrom.append(UInt32(current)) }
            if step.kind != .spurious {
                goesOn = true
                if index != current { edges.append((UInt32(current), UInt32(index))) }
            }
            return true
        }
        if found != nil || goesOn { return found }
        recall(current)
        if machine.allFinished {
            finished.append(UInt32(current))
            return nil
        }
        let steps = trace(to: current, then: nil)
        return Counterexample(kind: .deadlock, what: machine.summary(), steps: steps)
    }

    /// Calls `body` for each step out of a state, with the machine in that state each time, until it returns `false`.
    private func forEachStep(of index: Int, _ body: (Step) -> Bool) {
        recall(index)
        for thread in 0..<machine.threadCount {
            let ways = machine.waysToExecute(thread)
            for way in 0..<ways {
                guard body(Step(thread: thread, kind: .execute, choice: way)) else { return }
                recall(index)
            }
            for store in 0..<machine.stores(thread) where machine.canFlush(thread, store) {
                guard body(Step(thread: thread, kind: .flush, choice: store)) else { return }
                recall(index)
            }
            if withSpuriousReturns && machine.isAsleep(thread) {
                guard body(Step(thread: thread, kind: .spurious, choice: 0)) else { return }
                recall(index)
            }
        }
    }

    private func recall(_ index: Int) { memcpy(machine.state, states + index * size, size) }

    // MARK: The set of visited states

    /// The number of the machine's state, and whether it is met for the first time.
    private func intern() -> (index: Int, isNew: Bool) {
        if 2 * count >= tableSize { growTable() }
        let place = place(of: machine.state)
        if table[place] != 0 { return (Int(table[place]) - 1, false) }
        if count == capacity { growStates() }
        memcpy(states + count * size, machine.state, size)
        count += 1
        table[place] = UInt32(count)
        return (count - 1, true)
    }

    private func place(of state: UnsafeMutablePointer<UInt8>) -> Int {
        let mask = tableSize - 1
        var place = Int(truncatingIfNeeded: hash(state)) & mask
        // The table is never more than half full, so an empty place comes.
        while table[place] != 0 {
            if memcmp(states + (Int(table[place]) - 1) * size, state, size) == 0 { return place }
            place = (place &+ 1) & mask
        }
        return place
    }

    private func hash(_ state: UnsafeMutablePointer<UInt8>) -> UInt64 {
        let words = UnsafeRawPointer(state)
        var hash: UInt64 = 0
        var offset = 0
        while offset < size {
            hash = (hash ^ words.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 0x9e37_79b9_7f4a_7c15
            hash ^= hash &>> 32
            offset &+= 8
        }
        return hash
    }

    private func growStates() {
        let larger = UnsafeMutableRawPointer.allocate(byteCount: 2 * capacity * size, alignment: 8)
        memcpy(larger, states, count * size)
        states.deallocate()
        states = larger
        capacity *= 2
    }

    private func growTable() {
        table.deallocate()
        tableSize *= 4
        table = .allocate(capacity: tableSize)
        table.initialize(repeating: 0, count: tableSize)
        for index in 0..<count {
            let state = (states + index * size).assumingMemoryBound(to: UInt8.self)
            table[place(of: state)] = UInt32(index + 1)
        }
    }

    // MARK: What went wrong

    /// A state from which the threads can go on and on but never all finish.
    private func neverFinishing() -> Counterexample? {
        var canFinish = [Bool](repeating: false, count: count)
        for index in finished { canFinish[Int(index)] = true }
        var changed = true
        // Each turn but the last marks a state.
        while changed {
            changed = false
            for edge in edges.reversed() where canFinish[Int(edge.to)] && !canFinish[Int(edge.from)] {
                canFinish[Int(edge.from)] = true
                changed = true
            }
        }
        guard let stuck = canFinish.firstIndex(of: false) else { return nil }
        let steps = trace(to: stuck, then: nil)
        return Counterexample(kind: .cannotFinish, what: machine.summary(), steps: steps)
    }

    /// The steps to a state, by carrying them out again.
    ///
    /// Interchangeable threads change places from state to state; in the trace each keeps its number.
    private func trace(to target: Int, then last: Step?) -> [String] {
        var path = [target]
        while let index = path.last, index != 0 { path.append(Int(cameFrom[index])) }
        path.reverse()
        machine.identities = Array(0..<machine.threadCount)
        var lines: [String] = []
        for (from, to) in zip(path, path.dropFirst()) { lines.append(retrace(from, to)) }
        recall(target)
        if let last { lines.append(machine.describe(last)) }
        return lines
    }

    private func retrace(_ from: Int, _ to: Int) -> String {
        let before = machine.identities
        var line = ""
        forEachStep(of: from) { step in
            machine.identities = before
            line = machine.describe(step)
            machine.carryOut(step)
            machine.arrange()
            return memcmp(machine.state, states + to * size, size) != 0
        }
        return line
    }
}
