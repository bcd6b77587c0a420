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

private enum NeighbourCounting: Work {
    static func run(_ neighbours: Neighbours, _ index: Int, _ round: inout Round) {
        let counter = neighbours.counter(index)
        @inline(__always)
        func step() -> UInt64 {
            counter.pointee.wrappingAdd(1, ordering: .relaxed)
            return 1
        }
        round.batches(step)
    }
}

private enum LoneCounting: Work {
    static func run(_ counters: [PaddedCounter], _ index: Int, _ round: inout Round) {
        let counter = counters[index]
        @inline(__always)
        func step() -> UInt64 {
            counter.add()
            return 1
        }
        round.batches(step)
    }
}

private enum SharedCounting: Work {
    static func run(_ counter: StripedCounter, _ index: Int, _ round: inout Round) {
        @inline(__always)
        func step() -> UInt64 {
            counter.add()
            return 1
        }
        round.batches(step)
    }
}

enum Counting {
    static let subjects = [
        Subject("ladder") { options throws(UsageError) in
            switch try options.layout(among: .adjacent, .padded, .striped) {
            case .padded:
                let counters = (0..<max(1, options.threads)).map { _ in PaddedCounter() }
                return measure(LoneCounting.self, counters, options).report
            case .striped:
                let counter = StripedCounter()
                return measure(SharedCounting.self, counter, options).report
            default:
                let neighbours = Neighbours(max(1, options.threads))
                return measure(NeighbourCounting.self, neighbours, options).report
            }
        }
    ]
}
