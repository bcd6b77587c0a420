import LockLadder

final class Price: Sendable {
    let cents: Int
    init(cents: Int) { self.cents = cents }
}

let price = SnapshotCell("example.price", Price(cents: 0))
let downloads = AsyncSingleFlight<String, Price>("example.downloads") { _ in
    try await Task.sleep(nanoseconds: 50_000_000)
    return Price(cents: 300)
}
// Eight ask at once: one download. Its result is published as a whole.
await withTaskGroup(of: Void.self) { tasks in
    for _ in 0..<8 { tasks.addTask { if let new = try? await downloads.value(for: "pear") { price.publish(new) } } }
}
// Four threads read it without ever waiting, and meet at a lock that counts.
let sold = Mutex("example.sold", 0)
let sellers = (0..<4).compactMap { number in
    NamedThread("seller-\(number)") {
        var reader = price.makeReader()
        for _ in 0..<10_000 { sold.withLock { sold in sold += reader.withSnapshot { $0.cents } } }
    }
}
for seller in sellers { _ = seller.join(until: .now.advanced(byNanoseconds: 10_000_000_000)) }
print(
    "\(downloads.statistics.flights) download for \(downloads.statistics.calls) callers; sold \(sold.withLock { $0 })"
)
for lock in ContentionRegistry.shared.all { print(lock.name, lock.statistics.acquisitions, lock.statistics.contended) }
