internal import Glibc
internal import LockLadder

/// The clients of one socket: how many there are, and what became of those who went too far.
///
/// One for each right: whoever uses up the public status socket takes nothing away from those who read values or give
/// commands, nor the descriptors that fetching and storing need.
final class Clients: Sendable {
    struct Figures {
        var connections = 0
        var watchers = 0
        var cutOff: [ClientLimit: UInt64] = [:]
    }

    private struct State {
        var figures = Figures()
        /// Connections by process. A process that hides its id (another namespace's) counts as one.
        var byPeer: [Int32: Int] = [:]
    }

    private let state = Mutex("control.clients", State())
    private let most: Int
    private let mostPerPeer: Int

    init(limits: ClientLimits, rights: Int) {
        most = limits.connections ?? Self.share(among: rights)
        mostPerPeer = limits.connectionsPerPeer ?? max(4, most / 2)
    }

    /// An equal share of the process's descriptors for each right, with a good part left for everything else.
    private static func share(among rights: Int) -> Int {
        var descriptors = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &descriptors) == 0 else { return 256 }
        let all = Int(clamping: descriptors.rlim_cur)
        return max(8, min(16_384, (all - all / 4 - 64) / rights))
    }

    /// - Returns: `false` when there is no room for another connection of this process; then nothing is to be given
    ///   back.
    func take(peer: Int32) -> Bool {
        state.withLock { state in
            let limit: ClientLimit? =
                if state.figures.connections >= most {
                    .connections
                } else if state.byPeer[peer, default: 0] >= mostPerPeer {
                    .peerConnections
                } else {
                    nil
                }
            if let limit {
                state.figures.cutOff[limit, default: 0] += 1
                return false
            }
            state.figures.connections += 1
            state.byPeer[peer, default: 0] += 1
            return true
        }
    }

    func giveBack(peer: Int32) {
        state.withLock { state in
            state.figures.connections -= 1
            let left = state.byPeer[peer, default: 1] - 1
            state.byPeer[peer] = left > 0 ? left : nil
        }
    }

    func noteCut(_ limit: ClientLimit) { state.withLock { $0.figures.cutOff[limit, default: 0] += 1 } }

    func noteWatchers(_ change: Int) { state.withLock { $0.figures.watchers += change } }

    var figures: Figures { state.withLock { $0.figures } }
}
