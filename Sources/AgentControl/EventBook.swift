internal import ConfigSnapshot
internal import LockLadder
internal import NIOCore

/// The events of the newest generation, each encoded once for all workers and all their watchers.
///
/// The worker that first needs an event makes it; others that need it meanwhile are told when it is there. Nobody
/// waits, and nothing is made under the lock.
final class EventBook: Sendable {
    /// What an event depends on.
    struct Page: Hashable {
        let topic: WatchTopic
        /// What the watcher is to be told: not what it knew, so that all who get the same share it.
        let news: WatchTopic.News
        /// What it will know.
        let generation: UInt64
    }

    enum Entry {
        case ready(ByteBuffer)
        /// Somebody else is at it; the closure given will be called.
        case later
        /// Make it, and ``put(_:at:)`` it.
        case yours
    }

    private enum Content {
        case ready(ByteBuffer)
        case inTheMaking([@Sendable () -> Void])
    }

    private struct State {
        var pages: [Page: Content] = [:]
        var encoded: UInt64 = 0
        /// The bytes kept.
        var size = 0
    }

    /// Beyond this many an event is made anew for whoever needs it: watchers that are behind by different amounts
    /// share nothing anyway.
    private static let most = 4_096
    /// And beyond this many bytes no further one is kept. The first is kept whatever its size.
    private static let largest = 64 << 20

    private let state = Mutex("control.events", State())

    func look(at page: Page, whenReady: @escaping @Sendable () -> Void) -> Entry {
        state.withLock { state in
            switch state.pages[page] {
            case .ready(let bytes)?: return .ready(bytes)
            case .inTheMaking(let others)?:
                state.pages[page] = .inTheMaking(others + [whenReady])
                return .later
            case nil:
                if state.pages.count < Self.most { state.pages[page] = .inTheMaking([]) }
                return .yours
            }
        }
    }

    func put(_ bytes: ByteBuffer, at page: Page) {
        let waiting = state.withLock { state -> [@Sendable () -> Void] in
            state.encoded += 1
            guard case .inTheMaking(let waiting)? = state.pages[page] else { return [] }
            let isKept = state.size == 0 || state.size + bytes.readableBytes <= Self.largest
            state.pages[page] = isKept ? .ready(bytes) : nil
            if isKept { state.size += bytes.readableBytes }
            return waiting
        }
        for tell in waiting { tell() }
    }

    /// Forgets all events but those that are being made.
    func clear() {
        let dropped = state.withLock { state in
            let before = state.pages
            state.size = 0
            state.pages = before.filter { if case .inTheMaking = $0.value { true } else { false } }
            return before
        }
        // Freed here, outside the lock.
        withExtendedLifetime(dropped) {}
    }

    /// How many events were encoded since the start.
    var encoded: UInt64 { state.withLock { $0.encoded } }
}
