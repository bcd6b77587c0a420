internal import Glibc
internal import Synchronization

/// How many connections one socket may have at once.
///
/// One for each right: whoever uses up the public status socket takes nothing away from those who read values or give
/// commands, nor the descriptors that fetching and storing need.
final class ConnectionLimit: Sendable {
    private let limit: Int
    // Relaxed: a count.
    private let taken = Atomic<Int>(0)

    init(limit: Int) { self.limit = limit }

    /// An equal share of the process's descriptors for each right, with a good part left for everything else.
    static func share(among rights: Int) -> Int {
        var descriptors = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &descriptors) == 0 else { return 256 }
        let all = Int(clamping: descriptors.rlim_cur)
        return max(8, min(16_384, (all - all / 4 - 64) / rights))
    }

    /// - Returns: `false` when there is no room; then nothing is to be given back.
    func take() -> Bool {
        if taken.add(1, ordering: .relaxed).newValue <= limit { return true }
        giveBack()
        return false
    }

    func giveBack() { taken.subtract(1, ordering: .relaxed) }
}
