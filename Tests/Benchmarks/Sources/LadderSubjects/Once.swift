import LockLadder

private struct OnceReader: Worker {
    private let once: Once<UInt64>

    init(_ once: Once<UInt64>, _ index: Int) { self.once = once }

    @inline(__always)
    func step() -> UInt64 { once.value { 42 } }
}

enum OnceReading {
    static let subjects = [
        Subject("ladder") { options in
            let once = Once<UInt64>("bench.once")
            _ = once.value { 42 }
            return measure(OnceReader.self, once, options, .batches).report
        }
    ]
}
