import BenchKit
import Foundation

/// The documents of one source, the newest and some before it.
final class Shelf: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: all is touched under `lock`.
    struct Offer {
        var number: Int
        var body: [UInt8]
        var signature: [UInt8]?
    }

    private let lock = NSLock()
    private var offers: [Offer] = []
    private var last = 0

    /// Numbers are never used twice, whatever becomes of their document.
    func nextNumber() -> Int {
        lock.withLock {
            last += 1
            return last
        }
    }

    func add(_ offer: Offer) {
        lock.withLock {
            offers.append(offer)
            if offers.count > 8 { offers.removeFirst() }
        }
    }

    var newest: Offer? { lock.withLock { offers.last } }
    /// One that was in use before, most likely.
    var older: Offer? { lock.withLock { offers.first } }
}
