import LockLadder

private struct OnceReader: Worker {
    let once: Once<UInt64>

    @inline(__always)
    func step() -> UInt64 { once.value { 42 } }
}

enum OnceReading {
    static let subjects = [
        Subject("ladder") { options in
            let once = Once<UInt64>("bench.once")
            _ = once.value { 42 }
            return measure(options, .batches) { _ in OnceReader(once: once) }.report
        }
    ]
}
