internal import ConfigPublish
internal import ConfigSnapshot
internal import LockLadder
internal import NIOCore

/// One watcher's end of its connection.
protocol WatchStream: AnyObject {
    /// Sends an event. ``Watchers/taken(_:)`` is called once the client has taken its last byte.
    func send(_ bytes: ByteBuffer)
}

/// The watchers of one worker. Belongs to its event loop.
///
/// A watcher has at most one event on its way. What is published meanwhile is not queued: when the client has taken
/// its event, it is told of everything since, as one.
final class Watchers {
    private final class Watcher {
        let stream: any WatchStream
        let topic: WatchTopic
        /// The newest generation that was sent or did not concern it; `nil`: nothing was sent yet.
        var known: UInt64?
        /// From the beginning: the stream's head is on its way.
        var isSending = true
        var isQueued = false

        init(_ stream: any WatchStream, _ topic: WatchTopic, known: UInt64?) {
            self.stream = stream
            self.topic = topic
            self.known = known
        }
    }

    /// Watchers served in one turn of the loop: requests of others come in between.
    private static let perTurn = 128

    private let loop: any EventLoop
    private let book: EventBook
    private let history: History
    private let read: ((borrowing Snapshot) -> Void) -> Void
    private var watchers: [ObjectIdentifier: Watcher] = [:]
    /// Those who may have something to be told.
    private var queue = CircularBuffer<Watcher>()
    private var isPumping = false
    private var lastNews: (topic: WatchTopic, known: UInt64?, generation: UInt64, news: WatchTopic.News)?
    private var generation: UInt64 = 0
    /// The newest generation of which the history tells: readers see a snapshot a moment earlier.
    private var announced: UInt64 = 0

    /// - Parameter read: lends out the worker's newest snapshot.
    init(
        loop: any EventLoop,
        book: EventBook,
        history: History,
        read: @escaping ((borrowing Snapshot) -> Void) -> Void
    ) {
        self.loop = loop
        self.book = book
        self.history = history
        self.read = read
    }

    var count: Int { watchers.count }

    /// Begins to tell `stream` about `topic`, once ``taken(_:)`` says that it has sent its head.
    ///
    /// - Parameter known: the generation up to which its client knows everything; `nil`: it knows nothing.
    func add(_ stream: any WatchStream, _ topic: WatchTopic, known: UInt64?) {
        watchers[ObjectIdentifier(stream)] = Watcher(stream, topic, known: known)
    }

    func remove(_ stream: any WatchStream) { watchers[ObjectIdentifier(stream)] = nil }

    /// The client has taken the last event whole.
    func taken(_ stream: any WatchStream) {
        guard let watcher = watchers[ObjectIdentifier(stream)] else { return }
        watcher.isSending = false
        enqueue(watcher)
    }

    /// A new generation is there, and the history knows what it changed.
    func published(_ generation: UInt64) {
        announced = max(announced, generation)
        for watcher in watchers.values { enqueue(watcher) }
    }

    /// A sign of life, and how far the watcher is, if nothing is on its way to it.
    ///
    /// - Returns: the bytes to send as they are; `nil` when there is no need.
    func heartbeat(for stream: any WatchStream) -> ByteBuffer? {
        guard let watcher = watchers[ObjectIdentifier(stream)], !watcher.isSending else { return nil }
        watcher.isSending = true
        return ByteBuffer(string: watcher.known.map { ": still here\nid: \($0)\n\n" } ?? ": still here\n\n")
    }

    private func enqueue(_ watcher: Watcher) {
        guard !watcher.isSending, !watcher.isQueued else { return }
        watcher.isQueued = true
        queue.append(watcher)
        guard !isPumping else { return }
        isPumping = true
        turnLater()
    }

    private func turnLater() {
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.execute { bound.value.pump() }
    }

    private func pump() {
        read { snapshot in
            self.generation = snapshot.generation
            // Nothing to tell before the first publication.
            guard snapshot.generation > 0 else { return }
            for _ in 0..<min(Self.perTurn, self.queue.count) {
                let watcher = self.queue.removeFirst()
                watcher.isQueued = false
                self.serve(watcher, snapshot)
            }
        }
        if queue.isEmpty || generation == 0 {
            if generation == 0 { for watcher in queue { watcher.isQueued = false } }
            queue.removeAll(keepingCapacity: queue.count < 1_024)
            isPumping = false
        } else {
            turnLater()
        }
    }

    private func serve(_ watcher: Watcher, _ snapshot: borrowing Snapshot) {
        // Who knows something is told what changed: that comes with the announcement.
        let isTooEarly = watcher.known != nil && snapshot.generation > announced
        guard !watcher.isSending, !isTooEarly, watcher.known != snapshot.generation,
            watchers[ObjectIdentifier(watcher.stream)] === watcher
        else { return }
        let news = news(for: watcher, snapshot.generation)
        guard news != .nothing else {
            watcher.known = snapshot.generation
            return
        }
        let page = EventBook.Page(topic: watcher.topic, news: news, generation: snapshot.generation)
        let bytes: ByteBuffer
        let bound = NIOLoopBound(self, eventLoop: loop)
        let waiting = NIOLoopBound(watcher, eventLoop: loop)
        let loop = loop
        switch book.look(at: page, whenReady: { loop.execute { bound.value.enqueue(waiting.value) } }) {
        case .later: return
        case .ready(let ready): bytes = ready
        case .yours:
            bytes = ByteBuffer(bytes: watcher.topic.event(news, snapshot, history))
            book.put(bytes, at: page)
        }
        watcher.known = snapshot.generation
        watcher.isSending = true
        watcher.stream.send(bytes)
    }

    /// Most watchers ask alike, one after the other: the last answer is at hand.
    private func news(for watcher: Watcher, _ generation: UInt64) -> WatchTopic.News {
        if let lastNews, lastNews.topic == watcher.topic, lastNews.known == watcher.known,
            lastNews.generation == generation
        {
            return lastNews.news
        }
        let news = watcher.topic.news(since: watcher.known, through: generation, history)
        lastNews = (watcher.topic, watcher.known, generation, news)
        return news
    }
}
