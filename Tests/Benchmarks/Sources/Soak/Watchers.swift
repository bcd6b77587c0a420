import BenchKit
import Foundation

/// Clients that have changes told to them, and put together from these what there is.
struct Watchers: Sendable {
    enum Topic {
        /// All of it, as keys that were set and removed.
        case everything
        /// One source's object, whole each time.
        case value(String)

        var path: String {
            switch self {
            case .everything: "/v1/watch"
            case .value(let source): "/v1/watch/\(source)"
            }
        }
    }

    let agent: Agent
    let ledger: Ledger
    let promises: Promises
    let counters: Counters

    /// Seconds after which a watcher has to know what a reader has seen.
    private static let patience = 4.0

    /// - Parameter leaves: whether it goes now and then, and comes back with the last event's id.
    func watch(_ name: String, _ topic: Topic, leaves: Bool, _ crew: Crew) {
        var story = Story(name: name, topic: topic, watchers: self)
        while crew.pause(leaves ? Double.random(in: 0.1...1.5) : 0.05) {
            let ticket = ledger.begin()
            guard ticket.isUp else { continue }
            let stay = leaves ? Double.random(in: 1...8) : Double.infinity
            do { try follow(&story, ticket, stay, crew) } catch {
                if ledger.wasUp(since: ticket) {
                    promises.check(.watchersCurrent, false, "\(name) is left alone: \(error)")
                }
            }
        }
    }

    private func follow(_ story: inout Story, _ ticket: Ledger.Ticket, _ stay: Double, _ crew: Crew) throws {
        let socket = try LocalSocket(agent.socket("config"), timeout: 0.25)
        let known = story.generation > 0 ? "Last-Event-ID: \(story.generation)\r\n" : ""
        try socket.send(Array("GET \(story.topic.path) HTTP/1.1\r\nHost: agent\r\n\(known)\r\n".utf8))
        let begin = Figures.now
        story.begins()
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while crew.goesOn, Double(Figures.now - begin) / 1e9 < stay {
            let count = recv(socket.descriptor, &buffer, buffer.count, 0)
            if count > 0 {
                story.feed(buffer[..<count])
            } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
                throw LocalSocket.Failure(description: "the connection has ended")
            }
            if Double(Figures.now - begin) / 1e9 > Self.patience { checkCurrent(story) }
        }
    }

    /// What readers have seen for a while a watcher has to know.
    private func checkCurrent(_ story: Story) {
        let missing = ledger.look { state -> String? in
            let now = Figures.now
            let quiet = Double(now - max(state.modeSince, state.upSince)) / 1e9
            guard state.isUp, state.mode == .following, quiet > Self.patience else { return nil }
            for (source, floor) in state.floors where story.tells(source) && ledger.layers.contains(source) {
                let age = Double(now - (state.floorSince[source] ?? now)) / 1e9
                if age > Self.patience, story.numbers[source] ?? 0 < floor {
                    return "\(story.name): \(source) \(floor) for \(age) s, told was \(story.numbers[source] ?? 0)"
                }
            }
            return ""
        }
        if let missing { promises.check(.watchersCurrent, missing.isEmpty, missing) }
    }

    /// What one watcher was told.
    struct Story {
        let name: String
        let topic: Topic
        let watchers: Watchers
        private(set) var generation: UInt64 = 0
        private(set) var numbers: [String: Int] = [:]
        private var keys: [String: [String: Any]] = [:]
        private var pending: [UInt8] = []
        private var isHead = true
        private var life = 0

        init(name: String, topic: Topic, watchers: Watchers) {
            self.name = name
            self.topic = topic
            self.watchers = watchers
        }

        func tells(_ source: String) -> Bool {
            switch topic {
            case .everything: true
            case .value(let own): own == source
            }
        }

        mutating func begins() {
            pending = []
            isHead = true
            life = watchers.ledger.look(\.life)
        }

        mutating func feed(_ bytes: ArraySlice<UInt8>) {
            pending += bytes
            while let end = pending.firstRange(of: Array(isHead ? "\r\n\r\n".utf8 : "\n\n".utf8)) {
                let block = String(decoding: pending[..<end.lowerBound], as: UTF8.self)
                pending.removeSubrange(..<end.upperBound)
                if isHead { isHead = false } else { take(block) }
            }
        }

        private mutating func take(_ block: String) {
            var fields: [String: String] = [:]
            for line in block.split(separator: "\n") where !line.hasPrefix(":") {
                let parts = line.split(separator: ":", maxSplits: 1)
                if parts.count == 2 { fields[String(parts[0])] = String(parts[1].dropFirst()) }
            }
            guard let text = fields["data"] else { return }
            watchers.counters.events.add(1, ordering: .relaxed)
            guard let id = fields["id"].flatMap({ UInt64($0) }) else { return }
            watchers.promises.check(.watchersWhole, id >= generation, "\(name): event \(id) after \(generation)")
            generation = id
            let json = Agent.json(Array(text.utf8))
            do {
                try take(json, isReset: fields["event"] == "reset")
                watchers.promises.check(.watchersWhole, true, "")
            } catch {
                watchers.promises.check(.watchersWhole, false, "\(name), event \(id): \(error)")
            }
        }

        private mutating func take(_ json: [String: Any], isReset: Bool) throws {
            switch topic {
            case .value(let source):
                guard let value = json["value"] as? [String: Any] else {
                    throw Document.Torn(description: "no value: \(json)")
                }
                try note(Document.read(value, of: source))
            case .everything:
                if isReset { keys = [:] }
                for key in json["removed"] as? [String] ?? [] { set(key, nil) }
                for (key, value) in json["set"] as? [String: Any] ?? [:] { set(key, value) }
                for source in watchers.ledger.layers {
                    guard let value = keys[source] else { throw Document.Torn(description: "no \(source)") }
                    try note(Document.read(value, of: source))
                }
            }
        }

        private mutating func set(_ key: String, _ value: Any?) {
            let parts = key.split(separator: ".", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { return }
            keys[parts[0], default: [:]][parts[1]] = value
        }

        private mutating func note(_ seen: Document.Seen) {
            watchers.ledger.checkMarks([seen], name)
            numbers[seen.source] = seen.number
        }
    }
}
