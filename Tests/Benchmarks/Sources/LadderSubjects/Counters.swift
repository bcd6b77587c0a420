import LockLadder
import Synchronization

/// Counters side by side, eight in a line.
private final class Neighbours: @unchecked Sendable {
    // SAFETY: atomics at addresses that do not change before deinit.
    private let counters: UnsafeMutablePointer<Atomic<UInt64>>
    private let count: Int

    init(_ count: Int) {
        self.count = count
        let bytes = count * MemoryLayout<Atomic<UInt64>>.stride
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 128)
        counters = memory.bindMemory(to: Atomic<UInt64>.self, capacity: count)
        for index in 0..<count { (counters + index).initialize(to: Atomic(0)) }
    }

    deinit {
        counters.deinitialize(count: count)
        UnsafeMutableRawPointer(counters).deallocate()
    }

    func counter(_ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> { counters + index }
}

private struct NeighbourCounter: Worker {
    private let neighbours: Neighbours
    private let counter: UnsafeMutablePointer<Atomic<UInt64>>

    init(_ neighbours: Neighbours, _ index: Int) {
        self.neighbours = neighbours
        counter = neighbours.counter(index)
    }

    @inline(__always)
    func step() -> UInt64 {
        counter.pointee.wrappingAdd(1, ordering: .relaxed)
        return 1
    }
}

private struct LoneCounter: Worker {
    private let counter: PaddedCounter

    init(_ counters: [PaddedCounter], _ index: Int) { counter = counters[index] }

    @inline(__always)
    func step() -> UInt64 {
        counter.add()
        return 1
    }
}

private struct SharedCounter: Worker {
    private let counter: StripedCounter

    init(_ counter: StripedCounter, _ index: Int) { self.counter = counter }

    @inline(__always)
    func step() -> UInt64 {
        counter.add()
        return 1
    }
}

enum Counting {
    static let subjects = [
        Subject("ladder") { options throws(UsageError) in
            switch try options.layout(among: .adjacent, .padded, .striped) {
            case .padded:
                let counters = (0..<max(1, options.threads)).map { _ in PaddedCounter() }
                return measure(LoneCounter.self, counters, options, .batches).report
            case .striped:
                let counter = StripedCounter()
                return measure(SharedCounter.self, counter, options, .batches).report
            default:
                let neighbours = Neighbours(max(1, options.threads))
                return measure(NeighbourCounter.self, neighbours, options, .batches).report
            }
        }
    ]
}
