public import AgentAPI

/// The page that `agentctl status` shows.
public enum StatusText {
    /// The whole page, with a line break at its end.
    public static func render(_ status: StatusReport, now: WireTime, style: TextStyle) -> String {
        var lines = health(status.health, now, style)
        lines.append(workers(status, now))
        lines += laggards(status.workers)
        if let line = durability(status) { lines.append(line) }
        if let status = status.operatorStatus {
            lines += OperatorText.lines(status).flatMap { Wrapping.indented($0, by: 0, style: style) }
        }
        lines.append("")
        lines += sources(status.sources, now, style)
        lines += ["", flights(status.flights), clients(status.clients), journal(status.journal, style)]
        return lines.joined(separator: "\n") + "\n"
    }

    private static func health(_ health: HealthState, _ now: WireTime, _ style: TextStyle) -> [String] {
        let level = style.paint(health.level.rawValue, tone(health.level))
        let duration = Durations.compact(now.seconds(since: health.since))
        let first = "agent is \(level) since \(health.since.forPeople) (\(duration))"
        return [first]
            + health.reasons.flatMap { reason in
                let place = reason.source.map { "source \($0): " } ?? ""
                let duration = Durations.compact(now.seconds(since: reason.since))
                let lines = Wrapping.indented("\(place)\(reason.message) (for \(duration))", by: 4, style: style)
                return lines.enumerated().map { $0 == 0 ? "  - " + $1.dropFirst(4) : $1 }
            }
    }

    private static func workers(_ status: StatusReport, _ now: WireTime) -> String {
        guard status.generation > 0 else {
            return "no generation yet: \(plural(status.workers.count, "worker")) without a snapshot"
        }
        let confirmed =
            status.confirmedAt.map { "confirmed \(Durations.spaced(now.seconds(since: $0))) ago" }
            ?? "not yet confirmed by every source"
        let workers = "\(status.workers.current)/\(status.workers.count) workers"
        return "\(workers) on generation \(status.generation), \(confirmed)"
    }

    private static func laggards(_ workers: WorkerPool) -> [String] {
        workers.list.filter { $0.lag > 0 }.map {
            "  - \(Printable.clean($0.name)) is on generation \($0.generation), \($0.lag) behind"
        }
    }

    private static func durability(_ status: StatusReport) -> String? {
        guard status.durableGeneration != status.generation else { return nil }
        let durable = status.durableGeneration == 0 ? "nothing" : "generation \(status.durableGeneration)"
        return "\(durable) is stored durably: a power cut now would lose what is newer"
    }

    private static func sources(
        _ sources: [String: SourceStatus],
        _ now: WireTime,
        _ style: TextStyle
    ) -> [String] {
        guard !sources.isEmpty else { return ["no sources"] }
        var table = Table(headings: ["SOURCE", "STATE", "REVISION", "LAST SUCCESS", "LAST ERROR", "NEXT POLL"])
        for (name, source) in sources.sorted(by: { $0.key < $1.key }) {
            let error = source.lastError.map { "\(Durations.ago($0.at, now: now)) (\($0.code))" }
            let isFailing = source.consecutiveFailures > 0
            table.add(
                [
                    .init(name),
                    .init(source.state.rawValue, tone: tone(source.state)),
                    .init(source.revision ?? "-"),
                    .init(source.lastSuccess.map { Durations.ago($0, now: now) } ?? "never"),
                    .init(error ?? "-", tone: isFailing ? .bad : .faint),
                    .init(source.nextPoll.map { Durations.until($0, now: now) } ?? "-"),
                ],
                notes: (isFailing ? ErrorText.lines(source.lastError, indent: 4, style) : [])
                    + elsewhere(source.place, style)
            )
        }
        return table.lines(style)
    }

    /// That a source is not asked where it is asked while all is well.
    private static func elsewhere(_ place: PlaceStatus?, _ style: TextStyle) -> [String] {
        guard let place, place.index > 0 else { return [] }
        let words = "asked at \(Printable.clean(place.url)), its place \(place.index + 1) of \(place.count)"
        return Wrapping.indented(words, by: 4, style: style)
    }

    private static func flights(_ flights: FlightCounts) -> String {
        let shared = "\(plural(flights.calls, "call")), \(flights.folded) folded into others' flights"
        let made = "\(plural(flights.flights, "flight")), \(flights.failures) failed, \(flights.inFlight) in flight"
        return "flights: \(shared); \(made)"
    }

    private static func clients(_ sockets: [String: ClientCounts]) -> String {
        let connections = sockets.values.reduce(0) { $0 + $1.connections }
        let watchers = sockets.values.reduce(0) { $0 + $1.watchers }
        let cutOff = sockets.values.reduce(into: [String: UInt64]()) { $0.merge($1.cutOff, uniquingKeysWith: +) }
        let line = "clients: \(plural(connections, "connection")), \(plural(watchers, "watcher"))"
        guard !cutOff.isEmpty else { return line }
        let kinds = cutOff.sorted { $0.key < $1.key }.map { "\($0.value) for \(Printable.clean($0.key))" }
        return line + "; cut off: " + kinds.joined(separator: ", ")
    }

    private static func journal(_ journal: JournalCounts, _ style: TextStyle) -> String {
        let sent = "journal: \(plural(journal.sent, "record")) sent to \(journal.destination.rawValue)"
        return journal.dropped == 0 ? sent : sent + style.paint(", \(journal.dropped) DROPPED", .bad)
    }

    private static func tone(_ level: HealthLevel) -> TextStyle.Tone {
        switch level {
        case .healthy: .good
        case .degraded: .doubtful
        case .failed: .bad
        }
    }

    static func tone(_ state: SourceState) -> TextStyle.Tone {
        switch state {
        case .fresh, .asleep: .good
        case .starting, .stale, .lastGood, .frozen: .doubtful
        case .failing, .expired: .bad
        }
    }

    private static func plural(_ count: some BinaryInteger, _ noun: String) -> String {
        "\(count) \(noun)\(count == 1 ? "" : "s")"
    }
}
