internal import AgentAPI
internal import AgentTelemetry

/// `/metrics`: the same facts as `/v1/status`, for Prometheus.
enum MetricsText {
    static func render(
        _ status: StatusReport,
        _ sources: SourcesReport,
        eventsEncoded: UInt64,
        liveSnapshots: Int
    ) -> String {
        var out = PrometheusText()
        agent(status, &out)
        flights(status, &out)
        clients(status, &out)
        out.metric("config_agent_watch_events_encoded_total", .counter, "Events encoded, each for all who watch alike.")
        out.sample("config_agent_watch_events_encoded_total", [], eventsEncoded)
        out.metric("config_agent_live_snapshots", .gauge, "Snapshots in memory: the newest, and those a reader keeps.")
        out.sample("config_agent_live_snapshots", [], UInt64(liveSnapshots))
        self.sources(sources, &out)
        LockMetrics.render(LockFigures.collect(), &out)
        return out.text
    }

    private static func agent(_ status: StatusReport, _ out: inout PrometheusText) {
        out.metric("config_agent_info", .gauge, "The running agent; always 1.")
        out.sample("config_agent_info", [("version", status.agent.version)], UInt64(1))
        out.metric("config_agent_health", .gauge, "0 healthy, 1 degraded, 2 failed.")
        let level = HealthLevel.allCases.firstIndex(of: status.health.level) ?? 0
        out.sample("config_agent_health", [], value(level))
        out.metric("config_agent_generation", .gauge, "The newest generation; 0 when there is none.")
        out.sample("config_agent_generation", [], status.generation)
        out.metric("config_agent_durable_generation", .gauge, "The newest generation that is synced to disk.")
        out.sample("config_agent_durable_generation", [], status.durableGeneration)
        out.metric("config_agent_snapshot_keys", .gauge, "Values in the newest snapshot.")
        out.sample("config_agent_snapshot_keys", [], value(status.snapshot?.keys ?? 0))
        out.metric("config_agent_confirmed_timestamp_seconds", .gauge, "When every value was last confirmed; 0: never.")
        out.sample(
            "config_agent_confirmed_timestamp_seconds",
            [],
            Double(status.confirmedAt?.unixMilliseconds ?? 0) / 1_000
        )
        out.metric("config_agent_pinned_generation", .gauge, "The generation that an operator has pinned; 0: none.")
        out.sample("config_agent_pinned_generation", [], status.operatorStatus?.pin?.generation ?? 0)
        out.metric("config_agent_frozen", .gauge, "1 while an operator has the sources not asked.")
        out.sample("config_agent_frozen", [], UInt64(status.operatorStatus?.freeze == nil ? 0 : 1))
        out.metric("config_agent_worker_lag", .gauge, "Generations that a worker is behind the newest.")
        for worker in status.workers.list {
            out.sample("config_agent_worker_lag", [("worker", worker.name)], worker.lag)
        }
        out.metric("config_agent_worker_reads_total", .counter, "Snapshot reads by worker.")
        for worker in status.workers.list {
            out.sample("config_agent_worker_reads_total", [("worker", worker.name)], worker.reads)
        }
        out.metric("config_agent_journal_records_total", .counter, "Journal records by what became of them.")
        out.sample("config_agent_journal_records_total", [("result", "sent")], status.journal.sent)
        out.sample("config_agent_journal_records_total", [("result", "dropped")], status.journal.dropped)
    }

    private static func value(_ number: Int) -> UInt64 { UInt64(max(0, number)) }

    private static func flights(_ status: StatusReport, _ out: inout PrometheusText) {
        out.metric("config_agent_flight_calls_total", .counter, "Wishes for a fetch.")
        out.sample("config_agent_flight_calls_total", [], status.flights.calls)
        out.metric("config_agent_flight_folded_total", .counter, "Wishes that shared another one's fetch.")
        out.sample("config_agent_flight_folded_total", [], status.flights.folded)
        out.metric("config_agent_flights_total", .counter, "Fetches begun.")
        out.sample("config_agent_flights_total", [], status.flights.flights)
        out.metric("config_agent_flight_failures_total", .counter, "Fetches that came to nothing.")
        out.sample("config_agent_flight_failures_total", [], status.flights.failures)
        out.metric("config_agent_flights_in_flight", .gauge, "Fetches on their way.")
        out.sample("config_agent_flights_in_flight", [], value(status.flights.inFlight))
    }

    private static func clients(_ status: StatusReport, _ out: inout PrometheusText) {
        let sockets = status.clients.sorted { $0.key < $1.key }
        out.metric("config_agent_connections", .gauge, "Open connections by socket.")
        for (socket, counts) in sockets {
            out.sample("config_agent_connections", [("socket", socket)], value(counts.connections))
        }
        out.metric("config_agent_watchers", .gauge, "Connections that watch for changes.")
        for (socket, counts) in sockets {
            out.sample("config_agent_watchers", [("socket", socket)], value(counts.watchers))
        }
        out.metric(
            "config_agent_clients_cut_off_total",
            .counter,
            "Clients turned away or cut off, by the limit that they ran into."
        )
        for (socket, counts) in sockets {
            for limit in ClientLimit.allCases {
                out.sample(
                    "config_agent_clients_cut_off_total",
                    [("socket", socket), ("limit", limit.rawValue)],
                    counts.cutOff[limit.rawValue] ?? 0
                )
            }
        }
    }

    private static func sources(_ report: SourcesReport, _ out: inout PrometheusText) {
        func each(
            _ name: String,
            _ kind: PrometheusText.Kind,
            _ help: String,
            _ figure: (SourceDetail) -> Double
        ) {
            out.metric(name, kind, help)
            for source in report.sources { out.sample(name, [("source", source.name)], figure(source)) }
        }
        each("config_agent_source_requests_total", .counter, "Requests to a source.") { Double($0.requests) }
        each("config_agent_source_not_modified_total", .counter, "Requests answered with 304.") {
            Double($0.notModified)
        }
        each("config_agent_source_published_total", .counter, "Documents that became visible.") { Double($0.published) }
        each("config_agent_source_last_load_successful", .gauge, "Whether the last request led to a document in use.") {
            $0.status.consecutiveFailures == 0 && $0.status.lastSuccess != nil ? 1 : 0
        }
        each(
            "config_agent_source_expires_timestamp_seconds",
            .gauge,
            "When what is in use is out of date by its own word; 0: it does not say."
        ) { Double($0.status.expires?.unixMilliseconds ?? 0) / 1_000 }
        each(
            "config_agent_source_desired_in_use",
            .gauge,
            "Whether what the source has offered last is what is in use."
        ) { ($0.status.desired?.digest ?? $0.status.digest) == $0.status.digest ? 1 : 0 }
        each("config_agent_source_consecutive_failures", .gauge, "Failures since the last success.") {
            Double($0.status.consecutiveFailures)
        }
        each(
            "config_agent_source_last_success_timestamp_seconds",
            .gauge,
            "When a source was last confirmed; 0: never."
        ) {
            Double($0.status.lastSuccess?.unixMilliseconds ?? 0) / 1_000
        }
        places(report, &out)
        watches(report, &out)
        fetchTimes(report, &out)
        out.metric("config_agent_source_load_failures_total", .counter, "Failures by class.")
        for source in report.sources {
            for (code, count) in source.failuresByClass.sorted(by: { $0.key < $1.key }) {
                out.sample(
                    "config_agent_source_load_failures_total",
                    [("source", source.name), ("class", code)],
                    count
                )
            }
        }
    }

    /// Of sources that have one place there are no samples.
    private static func places(_ report: SourcesReport, _ out: inout PrometheusText) {
        let movable = report.sources.compactMap { source in source.status.place.map { (source.name, $0) } }
        out.metric(
            "config_agent_source_place",
            .gauge,
            "Which of its places a source is asked at, counted from 0."
        )
        for (name, place) in movable {
            out.sample("config_agent_source_place", [("source", name)], UInt64(place.index))
        }
        out.metric("config_agent_source_moves_total", .counter, "How often a source has moved from a place to another.")
        for (name, place) in movable {
            out.sample("config_agent_source_moves_total", [("source", name)], place.moves)
        }
        let disagreements = "config_agent_source_disagreements_total"
        out.metric(disagreements, .counter, "Documents that another place gave as the revision in use, and are not it.")
        for (name, place) in movable { out.sample(disagreements, [("source", name)], place.disagreements) }
    }

    /// Of sources that are only polled there are no samples.
    private static func watches(_ report: SourcesReport, _ out: inout PrometheusText) {
        let watched = report.sources.compactMap { source in source.watch.map { (source.name, $0) } }
        out.metric("config_agent_source_watch_open", .gauge, "Whether the agent listens to a source's word of changes.")
        for (name, watch) in watched {
            out.sample("config_agent_source_watch_open", [("source", name)], UInt64(watch.open ? 1 : 0))
        }
        out.metric("config_agent_source_watch_changes_total", .counter, "Changes that a source told of.")
        for (name, watch) in watched {
            out.sample("config_agent_source_watch_changes_total", [("source", name)], watch.changes)
        }
        out.metric("config_agent_source_watch_failures_total", .counter, "How often listening to a source has failed.")
        for (name, watch) in watched {
            out.sample("config_agent_source_watch_failures_total", [("source", name)], watch.failures)
        }
    }

    /// Parts that never happened have no samples: with connections kept open most sources have two.
    private static func fetchTimes(_ report: SourcesReport, _ out: inout PrometheusText) {
        let name = "config_agent_source_fetch_seconds"
        out.metric(name, .histogram, "How long requests took, by part: wait, resolve, connect, tls, first_byte, total.")
        for source in report.sources {
            for (part, times) in source.timings.sorted(by: { $0.key < $1.key }) {
                var below: UInt64 = 0
                var buckets: [(upperBound: Double?, count: UInt64)] = times.histogram.map { bucket in
                    defer { below = bucket.count }
                    return (Double(bucket.upToMicroseconds) / 1e6, bucket.count - below)
                }
                buckets.append((nil, times.count - below))
                out.histogram(
                    name,
                    [("source", source.name), ("part", part)],
                    buckets: buckets,
                    sum: Double(times.sumMicroseconds) / 1e6
                )
            }
        }
    }
}
