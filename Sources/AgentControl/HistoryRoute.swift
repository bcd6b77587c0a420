internal import AgentAPI
internal import ConfigAgent
internal import ConfigPublish
internal import ConfigSnapshot
internal import LockLadder
internal import NIOCore
internal import NIOHTTP1

/// What was in use: `/v1/generations/N[/KEY]`, `/v1/diff` and `/v1/explain/KEY` on the config socket.
struct HistoryRoute {
    let agent: Agent
    let loop: any EventLoop

    /// - Parameter target: what follows the route in the path: the generation, and maybe a key.
    func show(_ target: [UInt8]) -> LocalAnswer {
        let parts = target.split(separator: UInt8(ascii: "/"), maxSplits: 1, omittingEmptySubsequences: false)
        let text = String(decoding: parts.first ?? [], as: UTF8.self)
        let key = parts.count > 1 ? String(decoding: parts[1], as: UTF8.self) : ""
        guard let generation = UInt64(text) else { return .now(Self.noGeneration(text)) }
        let agent = agent
        return SlowAnswer.make(loop) { _ in
            do throws(Agent.Refusal) {
                let snapshot = try agent.snapshot(of: generation)
                guard let value = snapshot.value(at: key) else {
                    return ValueRoute.notFound(key, in: snapshot, "generation \(generation)")
                }
                var response = LocalResponse(.ok, body: Array(value.json))
                response.headers = [(ConfigHeaders.generation, String(generation))]
                return response
            } catch {
                return .refused(error)
            }
        }
    }

    func diff(_ request: LocalRequest) -> LocalAnswer {
        let records = agent.generationRecords
        let newest = agent.publisher.generation
        let wanted = (from: request.query["from"], to: request.query["to"])
        for text in [wanted.from, wanted.to] {
            if let text, UInt64(text) == nil { return .now(Self.noGeneration(text)) }
        }
        let to = wanted.to.flatMap { UInt64($0) } ?? newest
        let before = records.last { $0.generation < to && !$0.has(to) }
        guard let from = wanted.from.flatMap({ UInt64($0) }) ?? before?.generation else {
            let message = "nothing older than generation \(to) is kept"
            return .now(.error(.notFound, "unknown_generation", message, hint: "see agentctl history"))
        }
        let agent = agent
        return SlowAnswer.make(loop) { _ in
            do throws(Agent.Refusal) {
                let (old, new) = try agent.snapshots(of: from, to)
                return .json(Self.report(old, new))
            } catch {
                return .refused(error)
            }
        }
    }

    private static func report(_ old: Snapshot, _ new: Snapshot) -> DiffReport {
        let diff = SnapshotDiff(from: old, to: new)
        return DiffReport(
            from: old.generation,
            to: new.generation,
            changes: diff.changes.map { KeyChange(key: $0.key, old: $0.old, new: $0.new) },
            total: diff.total
        )
    }

    func explain(_ key: [UInt8]) -> LocalAnswer {
        let key = String(decoding: key, as: UTF8.self)
        guard !key.isEmpty, DottedKey.split(key.utf8) != nil else {
            let hint = "a name that holds a dot or a quote is written in quotes: a.\"b.c\""
            return .now(.error(.badRequest, "bad_key", "'\(key)' is not a key", hint: hint))
        }
        let agent = agent
        return SlowAnswer.make(loop) { deadline in
            do throws(Agent.Refusal) {
                let found = try agent.explain(key, until: deadline)
                guard found.value != nil || found.before != nil else {
                    return ValueRoute.notFound(key, in: agent.publisher.snapshot, "any generation that is kept")
                }
                return .json(ExplainReport(key, found))
            } catch {
                return .refused(error)
            }
        }
    }

    private static func noGeneration(_ text: String) -> LocalResponse {
        .error(
            .badRequest,
            "bad_generation",
            "'\(text)' is not a generation: it has to be a number",
            hint: "the generations that are kept: agentctl history"
        )
    }
}

extension ExplainReport {
    fileprivate init(_ key: String, _ found: Explanation) {
        func text(_ json: [UInt8]?) -> String? { json.map { String(decoding: $0, as: UTF8.self) } }
        self.init(
            key: key,
            value: text(found.value),
            owners: found.owners.map {
                OwnerInfo(source: $0.revision.source.text, revision: $0.revision.label, layer: $0.layer)
            },
            since: found.since?.generation,
            sinceAt: found.since.map { WireTime(unixNanoseconds: $0.at) },
            mayBeOlder: found.mayBeOlder,
            before: text(found.before),
            without: text(found.without)
        )
    }
}

extension HistoryReport {
    init(_ agent: Agent) {
        let pinned = agent.operatorState.pin?.generation
        self.init(
            generation: agent.publisher.generation,
            durableGeneration: agent.storeState.durableGeneration,
            generations: agent.generationRecords.reversed().map { record in
                GenerationInfo(record, isPinned: pinned.map { record.has($0) } ?? false)
            }
        )
    }
}

extension GenerationInfo {
    fileprivate init(_ record: GenerationRecord, isPinned: Bool) {
        self.init(
            generation: record.generation,
            last: record.last,
            starts: record.starts,
            publishedAt: WireTime(unixNanoseconds: record.publishedAt),
            digest: record.digest.hex,
            keys: record.keys,
            cause: record.cause.text,
            command: record.command.map { CommandInfo($0) },
            pinned: isPinned,
            layers: record.layers.map {
                LayerInfo(
                    source: $0.source.text,
                    revision: $0.label,
                    fetchedAt: WireTime(unixNanoseconds: $0.fetchedAt)
                )
            }
        )
    }
}
