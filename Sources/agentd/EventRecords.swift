internal import AgentAPI
internal import AgentConfiguration
internal import AgentTelemetry
internal import ConfigAgent
internal import ConfigFetch
internal import ConfigPublish
internal import ConfigSnapshot
internal import LockLadder

/// The agent's events as journal records: one place for all names of fields.
enum EventRecords {
    static func record(_ event: AgentEvent) -> JournalRecord {
        switch event {
        case .published(let snapshot, let source, let trace): published(snapshot, source, trace)
        case .documentLoaded(let revision, let keys, let trace): loaded(revision, keys, trace)
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
        case .commanded(let action, let command, let refusal): commanded(action, command, refusal)
        case .store(let event): record(event)
        case .fetch(let notice): record(notice)
        }
    }

    private static func record(_ notice: FetchNotice) -> JournalRecord {
        switch notice {
        case .moved(let source, let from, let to, let reason):
            JournalRecord(
                .warning,
                .sourceMoved,
                "source \(source) is asked at \(to) from now on, not at \(from): \(reason)",
                [
                    ("AGENT_EVENT", "source_moved"), ("AGENT_SOURCE", source.text), ("AGENT_PLACE", to),
                    ("AGENT_PLACE_BEFORE", from), ("AGENT_ERROR", reason),
                ]
            )
        case .returned(let source, let from, let to):
            JournalRecord(
                .notice,
                .sourceReturned,
                "source \(source) is asked at \(to) again: it does well",
                [
                    ("AGENT_EVENT", "source_returned"), ("AGENT_SOURCE", source.text), ("AGENT_PLACE", to),
                    ("AGENT_PLACE_BEFORE", from),
                ]
            )
        case .disagreement(let source, let one, let other):
            JournalRecord(
                .error,
                .placesDisagree,
                "source \(source): \(one) and \(other) give different documents as one revision; one of them is wrong",
                [
                    ("AGENT_EVENT", "places_disagree"), ("AGENT_SOURCE", source.text), ("AGENT_PLACE", other),
                    ("AGENT_PLACE_BEFORE", one),
                ]
            )
        case .hostSuspect(let host, let failures, let last):
            JournalRecord(
                .warning,
                .hostSuspect,
                "\(host) has failed \(failures) times in a row and is asked only every few seconds: \(last)",
                [("AGENT_EVENT", "host_suspect"), ("AGENT_HOST", host), ("AGENT_ERROR", last)]
            )
        case .hostRecovered(let host):
            JournalRecord(
                .notice,
                .hostRecovered,
                "\(host) answers again",
                [("AGENT_EVENT", "host_recovered"), ("AGENT_HOST", host)]
            )
        case .asleep(let source):
            JournalRecord(
                .info,
                nil,
                "nobody has read source \(source) for its idle time: it is not asked until somebody does",
                [("AGENT_EVENT", "source_asleep"), ("AGENT_SOURCE", source.text)]
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

    static func settingRefused(_ setting: RefusedSetting) -> JournalRecord {
        let names = setting.sources.map(\.text)
        let place = names.isEmpty ? "" : "source \(names.joined(separator: ", ")): "
        return JournalRecord(
            .error,
            nil,
            "not taken over from disk: \(place)\(setting)",
            [("AGENT_EVENT", "settings_refused"), ("AGENT_ERROR", setting.what)] + names.map { ("AGENT_SOURCE", $0) }
        )
    }

    static var settingsInForce: JournalRecord {
        JournalRecord(
            .notice,
            nil,
            "what the configuration names on disk is in force again as it is there",
            [("AGENT_EVENT", "settings_in_force")]
        )
    }

    static func reloaded(_ diff: ConfigurationDiff, onlySecrets: Bool, generation: UInt64) -> JournalRecord {
        var fields: [(name: String, value: String)] = [
            ("AGENT_EVENT", "reloaded"), ("AGENT_GENERATION", String(generation)),
            ("AGENT_CHANGES", diff.summary),
        ]
        fields += diff.added.map { ("AGENT_SOURCE_ADDED", $0) }
        fields += diff.removed.map { ("AGENT_SOURCE_REMOVED", $0) }
        fields += diff.changed.map { ("AGENT_SOURCE_CHANGED", $0.name) }
        let what = onlySecrets ? "files that the configuration names have changed" : "configuration reloaded"
        return JournalRecord(.notice, .reloaded, "\(what): \(diff.summary)", fields)
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
        if let trace { fields += way(trace) }
        return JournalRecord(
            .notice,
            .published,
            "published generation \(snapshot.generation) with \(snapshot.count) keys: \(cause)",
            fields
        )
    }

    /// How to find a document's way again, and how long it took.
    private static func way(_ trace: Trace) -> [(name: String, value: String)] {
        guard let start = trace[.requested], let end = trace[.decoded] else { return [("AGENT_TRACE", trace.text)] }
        return [("AGENT_TRACE", trace.text), ("AGENT_LATENCY_US", String((end - start) / 1_000))]
    }

    /// A change has come all the way.
    static func arrived(_ journey: Journeys.Journey, generation: UInt64, at end: MonotonicTime) -> JournalRecord {
        let steps: [(name: String, time: UInt64?)] = [
            ("AGENT_FETCH_US", journey.trace[.received]), ("AGENT_CHECK_US", journey.trace[.checked]),
            ("AGENT_VERIFY_US", journey.trace[.verified]), ("AGENT_DECODE_US", journey.trace[.decoded]),
            ("AGENT_PUBLISH_US", journey.publishedAt?.nanoseconds), ("AGENT_WORKERS_US", end.nanoseconds),
        ]
        var fields: [(name: String, value: String)] = [
            ("AGENT_EVENT", "taken_up"), ("AGENT_SOURCE", journey.source.text),
            ("AGENT_GENERATION", String(generation)), ("AGENT_TRACE", journey.trace.text),
        ]
        var last = journey.trace[.requested]
        for case (let name, let time?) in steps {
            // A worker may have been quicker than the stamp.
            if let last { fields.append((name, String(time > last ? (time - last) / 1_000 : 0))) }
            last = time
        }
        var words = ""
        if let start = journey.trace[.requested] {
            let whole = (end.nanoseconds - start) / 1_000
            fields.append(("AGENT_LATENCY_US", String(whole)))
            words = ", \(whole / 1_000).\(whole % 1_000 / 100) ms after source \(journey.source) was asked"
        }
        return JournalRecord(.info, nil, "generation \(generation) is in use by all workers\(words)", fields)
    }

    private static func record(_ event: StoreEvent) -> JournalRecord {
        switch event {
        case .copyUnusable(let source, let fault):
            JournalRecord(
                .error,
                nil,
                "the stored copy of source \(source) cannot be used\(fault.wasSetAside ? " and was set aside" : ""): "
                    + "\(fault)",
                [("AGENT_EVENT", "stored_copy_unusable"), ("AGENT_SOURCE", source.text), ("AGENT_ERROR", "\(fault)")]
            )
        case .operatorStateUnusable(let fault):
            JournalRecord(
                .error,
                nil,
                "what was commanded for good cannot be read\(fault.wasSetAside ? " and was set aside" : ""): \(fault); "
                    + "what was in use last is pinned, until agentctl unpin",
                [("AGENT_EVENT", "operator_state_unusable"), ("AGENT_ERROR", "\(fault)")]
            )
        case .quarantineUnusable(let fault):
            JournalRecord(
                .error,
                nil,
                "the list of refused documents cannot be read\(fault.wasSetAside ? " and was set aside" : ""): \(fault); "
                    + "what was accepted against its rules is refused again",
                [("AGENT_EVENT", "quarantine_unusable"), ("AGENT_ERROR", "\(fault)")]
            )
        case .pinLost(let pin, let fault):
            JournalRecord(
                .error,
                nil,
                "pinned generation \(pin.generation) cannot be used: \(fault); what was in use last is pinned instead, "
                    + "or else what comes first",
                [("AGENT_EVENT", "pin_lost"), ("AGENT_PINNED", String(pin.generation)), ("AGENT_ERROR", "\(fault)")]
            )
        case .historyUnreadable(let error):
            JournalRecord(
                .error,
                nil,
                "not all generations can be read: \(error); until the next start none is forgotten",
                [("AGENT_EVENT", "history_unreadable"), ("AGENT_STAGE", "store"), ("AGENT_ERROR", "\(error)")]
            )
        case .versionsUnusable(let fault):
            JournalRecord(
                .error,
                nil,
                "the list of accepted versions cannot be used\(fault.wasSetAside ? " and was set aside" : ""): \(fault); "
                    + "its other copy, and what the stored documents say, stand in for it",
                [("AGENT_EVENT", "versions_unusable"), ("AGENT_STAGE", "verify"), ("AGENT_ERROR", "\(fault)")]
            )
        case .failing(let error): failing(error)
        case .recovered: recovered
        }
    }

    private static func failing(_ error: FileError) -> JournalRecord {
        JournalRecord(
            .error,
            nil,
            "\(error): documents are served but would not survive a crash; trying again",
            [("AGENT_EVENT", "store_failing"), ("AGENT_STAGE", "store"), ("AGENT_ERROR", "\(error)")]
        )
    }

    private static var recovered: JournalRecord {
        JournalRecord(
            .notice,
            nil,
            "the state directory can be written again",
            [("AGENT_EVENT", "store_recovered"), ("AGENT_STAGE", "store")]
        )
    }

    /// The record of who has commanded what, and of what became of it.
    private static func commanded(_ action: OperatorAction, _ command: Command, _ refusal: String?) -> JournalRecord {
        let object = action.object.map { " \($0)" } ?? ""
        let reason = command.reason.map { ": \($0)" } ?? ""
        var fields: [(name: String, value: String)] = [
            ("AGENT_EVENT", "commanded"), ("AGENT_ACTION", action.name), ("AGENT_BY_UID", String(command.by.uid)),
            ("AGENT_BY_PID", String(command.by.pid)), ("AGENT_OUTCOME", refusal == nil ? "done" : "refused"),
        ]
        if let object = action.object { fields.append(("AGENT_OBJECT", object)) }
        if let user = command.by.user { fields.append(("AGENT_BY_USER", user)) }
        if let reason = command.reason { fields.append(("AGENT_REASON", reason)) }
        if let refusal { fields.append(("AGENT_ERROR", refusal)) }
        let outcome = refusal.map { "; refused: \($0)" } ?? ""
        return JournalRecord(
            .notice,
            .commanded,
            "\(command.by.name) commands \(action.name)\(object)\(reason)\(outcome)",
            fields
        )
    }

    private static func loaded(_ revision: SourceRevision, _ keys: Int, _ trace: Trace) -> JournalRecord {
        var fields: [(name: String, value: String)] = [
            ("AGENT_EVENT", "document_loaded"), ("AGENT_SOURCE", revision.source.text),
            ("AGENT_REVISION", revision.label), ("AGENT_DIGEST", revision.digest.hex),
            ("AGENT_KEYS", String(keys)),
        ]
        fields += way(trace)
        return JournalRecord(
            .notice,
            .documentLoaded,
            "loaded source \(revision.source) on demand: revision \(revision.label) with \(keys) keys",
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
