import LockLadder

private enum Asking: Work {
    static func run(_ once: Once<UInt64>, _ index: Int, _ round: inout Round) {
        @inline(__always)
        func step() -> UInt64 {
            once.value { 42 }
        }
        round.batches(step)
    }
}

enum OnceReading {
    static let subjects = [
        Subject("ladder") { options in
            let once = Once<UInt64>("bench.once")
            _ = once.value { 42 }
            return measure(Asking.self, once, options).report
        }
    ]
}
