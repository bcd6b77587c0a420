public import AgentAPI

/// What `agentctl sources` shows.
public enum SourcesText {
    /// One paragraph for each source.
    public static func render(_ report: SourcesReport, now: WireTime, style: TextStyle) -> String {
        guard !report.sources.isEmpty else { return "no sources\n" }
        let paragraphs = report.sources.map { source in
            ([heading(source, style)] + facts(source, now, style)).joined(separator: "\n") + "\n"
        }
        return paragraphs.joined(separator: "\n")
    }

    private static func heading(_ source: SourceDetail, _ style: TextStyle) -> String {
        let layer = source.layer.map { "layer \($0)" } ?? "on demand"
        let required = source.status.required ? ", required" : ""
        let state = style.paint(source.status.state.rawValue, StatusText.tone(source.status.state))
        let name = style.paint(Printable.clean(source.name), .heading)
        return "\(name) (\(Printable.clean(source.kind)), \(layer)\(required)): \(state)"
    }

    private static func facts(_ source: SourceDetail, _ now: WireTime, _ style: TextStyle) -> [String] {
        let status = source.status
        var lines: [String] = []
        func add(_ label: String, _ text: String?) {
            guard let text else { return }
            let padding = String(repeating: " ", count: max(1, column - 2 - label.count))
            lines.append("  \(label)\(padding)\(Printable.clean(text))")
        }
        func moment(_ time: WireTime) -> String { "\(Durations.ago(time, now: now)) (\(time.forPeople))" }
        add("url", status.url)
        add("asked at", source.status.place.map(place))
        add("revision", status.revision)
        add("digest", status.digest)
        add("last request", status.lastRequest.map(moment))
        add("last success", status.lastSuccess.map(moment) ?? "never")
        add("last activation", status.lastActivation.map(moment))
        add("polled", poll(source, now))
        add("watched", source.watch.map { watch($0, now) })
        add("requests", requests(source))
        add("failures", failures(source))
        add("times", times(source))
        add("last error", status.lastError.map { "\(moment($0.at)): \($0.code)" })
        lines += ErrorText.lines(status.lastError, indent: column, style)
        add("stages", status.trace.map(stages))
        return lines
    }

    private static let column = 19

    private static func poll(_ source: SourceDetail, _ now: WireTime) -> String {
        let least = bound(source.poll.minSeconds)
        let most = bound(source.poll.maxSeconds)
        let interval = least == most ? "every \(least)" : "every \(least) to \(most)"
        return interval + (source.status.nextPoll.map { ", next \(Durations.until($0, now: now))" } ?? "")
    }

    private static func place(_ place: PlaceStatus) -> String {
        let disagreed = place.disagreements == 0 ? "" : "; disagreed \(place.disagreements) times"
        return "\(place.url) (\(place.index + 1) of \(place.count) places; moved \(place.moves) times\(disagreed))"
    }

    private static func watch(_ watch: WatchStatus, _ now: WireTime) -> String {
        let changes = "\(watch.changes) \(watch.changes == 1 ? "change" : "changes") told"
        if watch.open { return "since \(Durations.ago(watch.since, now: now)), \(changes)" }
        let reason = watch.lastError.map { ": \($0.message)" } ?? ""
        return "not since \(Durations.ago(watch.since, now: now))\(reason); \(changes) before"
    }

    private static func requests(_ source: SourceDetail) -> String {
        let outcomes = "\(source.notModified) not modified, \(source.published) published"
        return "\(source.requests): \(outcomes), \(source.unchanged) unchanged"
    }

    /// Means, in the order in which the parts happen.
    private static func times(_ source: SourceDetail) -> String? {
        let parts = [
            ("wait", "wait"), ("resolve", "resolve"), ("connect", "connect"), ("tls", "TLS"),
            ("first_byte", "first byte"), ("total", "all"),
        ]
        let means = parts.compactMap { part, name in
            source.timings[part].map { "\(name) \(Durations.microseconds($0.sumMicroseconds / max(1, $0.count)))" }
        }
        guard let total = source.timings["total"], !means.isEmpty else { return nil }
        return "\(means.joined(separator: ", ")) on average; longest \(Durations.microseconds(total.maxMicroseconds))"
    }

    private static func failures(_ source: SourceDetail) -> String {
        let total = source.failuresByClass.values.reduce(0, +)
        guard total > 0 else { return "0" }
        let classes = source.failuresByClass.sorted { $0.value != $1.value ? $0.value > $1.value : $0.key < $1.key }
        let inARow = source.status.consecutiveFailures
        let row = inARow > 0 ? ", the last \(inARow) in a row" : ""
        return "\(total): " + classes.map { "\($0.value) \($0.key)" }.joined(separator: ", ") + row
    }

    private static func stages(_ trace: StageTimes) -> String {
        let stages: [(String, UInt64?)] = [
            ("received", trace.requestedToReceivedMicroseconds),
            ("checked", trace.receivedToCheckedMicroseconds),
            ("verified", trace.receivedToVerifiedMicroseconds),
            ("decoded", trace.verifiedToDecodedMicroseconds),
            ("published", trace.decodedToPublishedMicroseconds),
            ("at all workers", trace.publishedToWorkersMicroseconds),
        ]
        let times = stages.compactMap { name, time in time.map { "\(name) +\(Durations.microseconds($0))" } }
        return "\(times.joined(separator: ", ")) (trace \(trace.id))"
    }

    /// Two seconds give or take a tenth are not "1s to 2s".
    private static func bound(_ seconds: Double) -> String {
        guard seconds < 60, seconds != seconds.rounded() else { return Durations.compact(seconds) }
        return Durations.microseconds(UInt64(max(0, seconds) * 1_000_000))
    }
}
