import BenchKit
import CEpoll
import Foundation

/// Many watchers of one agent, in one thread.
final class Crowd {
    private struct Watcher {
        let descriptor: Int32
        var scanner = EventScanner()
    }

    /// When what happened after the order to publish; nanoseconds.
    struct Times {
        /// The answer to the refresh was there.
        var answered: UInt64 = 0
        var first: UInt64 = 0
        var last: UInt64 = 0
    }

    private let agent: Agent
    private let topic: String
    private let epoll: Int32
    private var watchers: [Watcher] = []
    private var sockets: [LocalSocket] = []
    private let control: LocalSocket
    private var buffer = [UInt8](repeating: 0, count: 256 << 10)
    private(set) var generation: UInt64 = 0

    private static let controlMark = UInt32.max

    /// - Parameter topic: what is watched, from the route on.
    init(_ agent: Agent, topic: String) throws {
        self.agent = agent
        self.topic = topic
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        control = try LocalSocket(agent.controlSocket)
        add(control.descriptor, mark: Self.controlMark)
        // A first publication that nobody times tells which generation it is.
        _ = try publish()
    }

    deinit { close(epoll) }

    private func add(_ descriptor: Int32, mark: UInt32) {
        var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data(u32: mark))
        epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event)
    }

    var count: Int { sockets.count }

    /// Has `count` watchers from now on.
    ///
    /// - Parameter reads: whether they read, which is when this returns after they know the newest generation.
    func grow(to count: Int, reads: Bool = true) throws {
        let request = Array("GET \(topic) HTTP/1.1\r\nHost: agent\r\n\r\n".utf8)
        while sockets.count < count {
            let socket = try LocalSocket(agent.configSocket)
            try socket.send(request)
            sockets.append(socket)
            watchers.append(Watcher(descriptor: socket.descriptor))
            if reads { add(socket.descriptor, mark: UInt32(watchers.count - 1)) }
        }
        if reads { _ = try readUntilAllKnow(generation, answer: nil) }
        try Settling.wait(for: agent)
    }

    /// Watchers that did not read until now begin to.
    func beginReading() throws {
        for (number, watcher) in watchers.enumerated() { add(watcher.descriptor, mark: UInt32(number)) }
        _ = try readUntilAllKnow(generation, answer: nil)
    }

    /// Changes the document, orders a refresh and waits until everybody who reads knows of it.
    ///
    /// - Parameter isHeard: whether the watchers read.
    func publish(isHeard: Bool = true) throws -> Times {
        try agent.writeDocument()
        let begin = Figures.now
        try control.send(Array("POST /v1/refresh HTTP/1.1\r\nHost: agent\r\nContent-Length: 0\r\n\r\n".utf8))
        let wanted = generation == 0 || !isHeard ? nil : generation + 1
        let times = try readUntilAllKnow(wanted, answer: begin)
        return times
    }

    /// - Parameters:
    ///   - wanted: the generation that all have to know; `nil` when only the answer matters.
    ///   - answer: when a refresh was ordered whose answer is still to come.
    private func readUntilAllKnow(_ wanted: UInt64?, answer begin: UInt64?) throws -> Times {
        let origin = begin ?? Figures.now
        var times = Times()
        var missing = wanted.map { wanted in watchers.count { $0.scanner.generation < wanted } } ?? 0
        var isFirst = true
        var pending: Answer? = begin == nil ? nil : Answer()
        let deadline = Figures.now + 60_000_000_000
        var events = [epoll_event](repeating: epoll_event(), count: 512)
        while missing > 0 || pending != nil {
            let ready = epoll_wait(epoll, &events, Int32(events.count), 1_000)
            guard Figures.now < deadline else {
                throw Agent.Failure(description: "\(missing) of \(count) watchers never got generation \(wanted ?? 0)")
            }
            for event in events[..<max(0, Int(ready))] {
                if event.data.u32 == Self.controlMark {
                    let part = try receive(control.descriptor)
                    pending?.add(buffer[..<part])
                    guard let whole = pending, whole.isWhole else { continue }
                    times.answered = Figures.now - origin
                    pending = nil
                    try note(whole, wanted)
                    continue
                }
                let number = Int(event.data.u32)
                let part = try receive(watchers[number].descriptor)
                let before = watchers[number].scanner.generation
                buffer.withUnsafeBytes { watchers[number].scanner.feed($0[..<part]) }
                guard let wanted, before < wanted, watchers[number].scanner.generation >= wanted else { continue }
                missing -= 1
                times.last = Figures.now - origin
                if isFirst { times.first = times.last }
                isFirst = false
            }
        }
        return times
    }

    private func receive(_ descriptor: Int32) throws -> Int {
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        guard count > 0 else { throw Agent.Failure(description: "the agent has closed a connection") }
        return count
    }

    private func note(_ answer: Answer, _ wanted: UInt64?) throws {
        let json = try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any]
        let source = (json?["sources"] as? [String: Any])?["app"] as? [String: Any]
        guard source?["outcome"] as? String == "published", let now = source?["generation"] as? UInt64,
            wanted == nil || now == wanted
        else { throw Agent.Failure(description: "refresh: \(String(decoding: answer.body, as: UTF8.self))") }
        generation = now
    }
}

/// Finds the newest generation that whole events have told of.
struct EventScanner {
    private static let prefix = Array("id: ".utf8)

    private(set) var generation: UInt64 = 0
    private var column = 0
    private var isID = true
    private var number: UInt64 = 0
    private var told: UInt64 = 0

    mutating func feed(_ bytes: Slice<UnsafeRawBufferPointer>) {
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                if column == 0 { generation = told }
                if isID, column > 4 { told = number }
                (column, isID, number) = (0, true, 0)
                continue
            }
            if column < 4 {
                isID = isID && byte == Self.prefix[column]
            } else if isID {
                number = number * 10 + UInt64(byte &- UInt8(ascii: "0"))
            }
            column += 1
        }
    }
}
