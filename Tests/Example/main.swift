import LockLadder

final class Price: Sendable {
    let cents: Int
    init(_ cents: Int) { self.cents = cents }
}

let price = SnapshotCell("example.price", Price(0))
// Whoever comes first does the work; the others share its result.
let downloads = ThreadSingleFlight<String, Int>("example.downloads") { fruit, _ in fruit == "pear" ? 300 : 0 }
let sold = Mutex("example.sold", 0)
let sellers = (1...4).compactMap { number in
    NamedThread("seller-\(number)") {
        if let cents = try? downloads.value(for: "pear") { price.publish(Price(cents)) }
        var reader = price.makeReader()
        for _ in 0..<10_000 { sold.withLock { sum in sum += reader.withSnapshot { $0.cents } } }
    }
}
for seller in sellers { _ = seller.join(until: .now.advanced(byNanoseconds: 60_000_000_000)) }
print("sold for \(sold.withLock { $0 })")
for lock in ContentionRegistry.shared.all { print(lock.kind, lock.name, lock.statistics.acquisitions) }
