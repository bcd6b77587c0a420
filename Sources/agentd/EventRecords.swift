internal import AgentAPI
internal import AgentConfiguration
internal import AgentTelemetry
internal import ConfigAgent
internal import ConfigPublish
internal import ConfigSnapshot

/// The agent's events as journal records: one place for all names of fields.
enum EventRecords {
    static func record(_ event: AgentEvent) -> JournalRecord {
        switch event {
        case .published(let snapshot, let source, let trace): published(snapshot, source, trace)
        case .sourceFailed(let source, let failure, let count, let generation):
            failed(source, failure, count, generation)
        case .sourceRecovered(let source, let failures):
            JournalRecord(
                .notice,
                .sourceRecovered,
                "source \(source) works again after \(failures) \(failures == 1 ? "failure" : "failures")",
                [("AGENT_EVENT", "source_recovered"), ("AGENT_SOURCE", source.text)]
            )
        case .lastGoodUsed(let revision):
            JournalRecord(
                .warning,
                .lastGoodUsed,
                "source \(revision.source) starts from its stored copy, revision \(revision.label), until it answers",
                [
                    ("AGENT_EVENT", "last_good_used"),
                    ("AGENT_SOURCE", revision.source.text),
                    ("AGENT_REVISION", revision.label),
                    ("AGENT_DIGEST", revision.digest.hex),
                ]
            )
        case .storedCopyUnusable(let source, let fault):
            JournalRecord(
                .error,
                nil,
                "the stored copy of source \(source) cannot be used\(fault.wasSetAside ? " and was set aside" : ""): "
                    + "\(fault)",
                [("AGENT_EVENT", "stored_copy_unusable"), ("AGENT_SOURCE", source.text), ("AGENT_ERROR", "\(fault)")]
            )
        case .storeFailing(let error):
            JournalRecord(
                .error,
                nil,
                "\(error): documents are served but would not survive a crash; trying again",
                [("AGENT_EVENT", "store_failing"), ("AGENT_STAGE", "store"), ("AGENT_ERROR", "\(error)")]
            )
        case .storeRecovered:
            JournalRecord(
                .notice,
                nil,
                "the state directory can be written again",
                [("AGENT_EVENT", "store_recovered"), ("AGENT_STAGE", "store")]
            )
        }
    }

    static func configurationRefused(_ error: ConfigurationError, event: String) -> JournalRecord {
        JournalRecord(
            .error,
            .configurationRefused,
            "configuration refused: \(error)",
            [
                ("AGENT_EVENT", event),
                ("AGENT_ERROR", "\(error)"),
                ("CODE_FILE", error.file),
                ("CODE_LINE", error.line.map(String.init) ?? "0"),
            ]
        )
    }

    static func reloaded(_ diff: ConfigurationDiff, generation: UInt64) -> JournalRecord {
        var fields: [(name: String, value: String)] = [
            ("AGENT_EVENT", "reloaded"), ("AGENT_GENERATION", String(generation)),
            ("AGENT_CHANGES", diff.summary),
        ]
        fields += diff.added.map { ("AGENT_SOURCE_ADDED", $0) }
        fields += diff.removed.map { ("AGENT_SOURCE_REMOVED", $0) }
        fields += diff.changed.map { ("AGENT_SOURCE_CHANGED", $0.name) }
        return JournalRecord(.notice, .reloaded, "configuration reloaded: \(diff.summary)", fields)
    }

    private static func published(_ snapshot: Snapshot, _ source: SourceRevision?, _ trace: Trace?) -> JournalRecord {
        var fields: [(name: String, value: String)] = [
            ("AGENT_EVENT", "published"),
            ("AGENT_GENERATION", String(snapshot.generation)),
            ("AGENT_DIGEST", snapshot.digest.hex),
            ("AGENT_KEYS", String(snapshot.count)),
        ]
        var cause = "from stored copies"
        if let source {
            cause = "source \(source.source) has revision \(source.label)"
            fields.append(("AGENT_SOURCE", source.source.text))
            fields.append(("AGENT_REVISION", source.label))
        } else {
            fields += snapshot.sources.map { ("AGENT_SOURCE", $0.source.text) }
        }
        if let trace {
            fields.append(("AGENT_TRACE", trace.text))
            if let start = trace[.requested], let end = trace[.decoded] {
                fields.append(("AGENT_LATENCY_US", String((end - start) / 1_000)))
            }
        }
        return JournalRecord(
            .notice,
            .published,
            "published generation \(snapshot.generation) with \(snapshot.count) keys: \(cause)",
            fields
        )
    }

    private static func failed(
        _ source: SourceName,
        _ failure: StageFailure,
        _ count: Int,
        _ generation: UInt64
    ) -> JournalRecord {
        let times = count == 1 ? "" : " (\(count) times in a row)"
        let hint = failure.hint.map { "; \($0)" } ?? ""
        return JournalRecord(
            .warning,
            .sourceFailed,
            "source \(source) failed at \(failure.stage.rawValue)\(times): \(failure.message)\(hint)",
            [
                ("AGENT_EVENT", "source_failed"),
                ("AGENT_SOURCE", source.text),
                ("AGENT_STAGE", failure.stage.rawValue),
                ("AGENT_ERROR_CODE", failure.code),
                ("AGENT_ERROR", failure.message),
                ("AGENT_GENERATION", String(generation)),
            ]
        )
    }
}
