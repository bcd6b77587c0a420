import BenchKit
import Foundation

/// Somebody who commands and asks, and knows what has to come of it.
final class Operator: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: what changes is touched under `lock`.
    struct Mark: Codable {
        let verb: String
        let at: Double
    }

    private let agent: Agent
    private let ledger: Ledger
    private let promises: Promises
    private let sources: Sources
    private let chaos: Chaos
    private let plan: Plan
    private let lock = NSLock()
    private var marks: [Mark] = []
    /// Held while a command is on its way: what becomes of one during which the agent is killed, nobody knows.
    let turn = NSLock()

    init(_ agent: Agent, _ sources: Sources, _ chaos: Chaos, _ plan: Plan) {
        self.agent = agent
        self.sources = sources
        self.chaos = chaos
        self.plan = plan
        ledger = agent.ledger
        promises = agent.promises
    }

    static let verbs = [
        "refresh", "history", "diff", "explain", "pin", "unpin", "wait", "accept", "reload", "reload refused",
        "rollback", "freeze", "thaw", "show", "quarantine", "agentctl status", "agentctl sources", "agentctl get",
        "agentctl locks", "agentctl history",
    ]

    var all: [Mark] { lock.withLock { marks } }

    private func done(_ verb: String) { lock.withLock { marks.append(Mark(verb: verb, at: promises.seconds)) } }

    func run(_ crew: Crew) throws {
        let acts: [(Crew) throws -> Void] = [
            { [self] _ in try refresh() }, { [self] _ in try look() }, pin, accept,
            { [self] _ in try control("status") },
            { [self] _ in try reload(.more) }, { [self] _ in try control("sources") }, rollBack,
            { [self] _ in try wait() }, freeze, { [self] _ in try refuse() },
            { [self] _ in try control("get", "file.n") },
            { [self] _ in try reload(.plain) }, { [self] _ in try control("locks") },
            { [self] _ in try control("history") },
        ]
        guard crew.pause(2) else { return }
        while crew.goesOn {
            for act in acts {
                // A hold is ended by whoever has begun it, so nothing is pinned from here on.
                do { try act(crew) } catch let failure as LocalSocket.Failure {
                    // Between two of its requests the agent may be killed.
                    if ledger.isUp { promises.check(.commandsDone, false, "\(failure)") }
                }
                guard crew.pause(plan.betweenVerbs * Double.random(in: 0.6...1.4)) else { return }
            }
        }
    }

    // MARK: A command

    /// - Returns: the answer; `nil` when the agent has ended meanwhile, or it has gone wrong.
    private func ask(_ verb: String, _ socket: String, _ method: String, _ path: String, _ fine: Set<Int> = [200]) -> (
        status: Int, json: [String: Any]
    )? {
        let ticket = ledger.begin()
        guard ticket.isUp else { return nil }
        do {
            let answer = try agent.ask(socket, path, method: method, seconds: 30)
            promises.check(.commandsDone, fine.contains(answer.status), "\(verb): \(answer.status) \(answer.json)")
            if fine.contains(answer.status), answer.status < 300 { done(verb) }
            return answer
        } catch {
            if ledger.wasUp(since: ticket) { promises.check(.commandsDone, false, "\(verb): \(error)") }
            return nil
        }
    }

    private func refresh() throws {
        turn.withLock { _ = ask("refresh", "control", "POST", "/v1/refresh?reason=soak") }
    }

    private func look() throws {
        turn.withLock {
            let newest = (ask("history", "status", "GET", "/v1/history")?.json["generation"] as? NSNumber)?.uint64Value
            // In a fresh life nothing older may be kept.
            _ = ask("diff", "config", "GET", "/v1/diff", [200, 404])
            _ = ask("explain", "config", "GET", "/v1/explain/file.n")
            if let newest { _ = ask("show", "config", "GET", "/v1/generations/\(newest)/file.n", [200, 404]) }
            _ = ask("quarantine", "status", "GET", "/v1/quarantine")
        }
    }

    private func wait() throws {
        turn.withLock {
            let generation = ledger.look(\.highest)
            _ = ask("wait", "status", "GET", "/v1/wait?generation=\(generation)&timeout=5")
            // What a source that fails never confirms is waited for in vain.
            _ = ask("wait", "status", "GET", "/v1/wait?fresh=true&timeout=4", [200, 408, 503, 504])
        }
    }

    private func control(_ words: String...) throws {
        try turn.withLock {
            guard ledger.isUp else { return }
            let runtime = ["--runtime-dir", agent.configuration.runtime.path]
            let (status, output) = try Tools.outcome(agent.agentctl, words + runtime, seconds: 30)
            let isFine = status == 0 || words[0] == "status" && status == 1
            promises.check(.commandsDone, isFine, "agentctl \(words): \(status) \(output)")
            if isFine { done("agentctl \(words[0])") }
        }
    }

    // MARK: Reloads

    private func reload(_ form: Configuration.Form) throws {
        try turn.withLock { try reloadInTurn(form) }
    }

    private func reloadInTurn(_ form: Configuration.Form) throws {
        try agent.configuration.write(form)
        // Whatever is reloaded, sources do not go back.
        ledger.asksAnew()
        _ = ask("reload", "control", "POST", "/v1/reload?reason=soak")
        ledger.asksAnew()
    }

    /// Nothing comes of a mistake.
    private func refuse() throws {
        try turn.withLock {
            try agent.configuration.write(.mistaken)
            let answer = ask("reload refused", "control", "POST", "/v1/reload?reason=soak", [422])
            if answer?.status == 422 { done("reload refused") }
            // A start is to find one that is in order.
            try agent.configuration.write(.plain)
        }
    }

    // MARK: What stays as it is

    private func pin(_ crew: Crew) throws { try hold(crew, "pin", "/v1/pin?reason=soak", ends: "unpin") }

    private func freeze(_ crew: Crew) throws { try hold(crew, "freeze", "/v1/freeze?reason=soak", ends: "thaw") }

    private func rollBack(_ crew: Crew) throws {
        for _ in 0..<4 {
            turn.lock()
            let history = ask("history", "status", "GET", "/v1/history")?.json["generations"] as? [[String: Any]] ?? []
            let candidates = history.dropFirst(2).prefix(5).compactMap { ($0["generation"] as? NSNumber)?.uint64Value }
            guard let wanted = candidates.randomElement(),
                let shown = ask("show", "config", "GET", "/v1/generations/\(wanted)", [200, 404]), shown.status == 200
            else {
                turn.unlock()
                guard crew.pause(0.5) else { return }
                continue
            }
            turn.unlock()
            var content: [String: Int] = [:]
            for source in ledger.layers {
                guard let value = shown.json[source] as? [String: Any], let seen = try? Document.read(value, of: source)
                else { return promises.check(.wholeDocuments, false, "generation \(wanted): \(source)") }
                content[source] = seen.number
            }
            // It may be forgotten in between.
            if try hold(
                crew,
                "rollback",
                "/v1/rollback?generation=\(wanted)&reason=soak",
                ends: "unpin",
                content,
                [200, 404]
            ) {
                return
            }
        }
    }

    /// - Returns: whether it came to that.
    @discardableResult
    private func hold(
        _ crew: Crew,
        _ verb: String,
        _ path: String,
        ends: String,
        _ content: [String: Int]? = nil,
        _ fine: Set<Int> = [200]
    ) throws -> Bool {
        let isFreeze = verb == "freeze"
        turn.lock()
        ledger.commandBegins()
        guard let answer = ask(verb, "control", "POST", path, fine), answer.status == 200 else {
            ledger.commandEnds(.following)
            turn.unlock()
            return false
        }
        ledger.commandEnds(.held, frozen: isFreeze, content: content)
        // What is not on disk need not survive what comes meanwhile.
        let isDurable = answer.json["durable"] as? Bool ?? false
        if isDurable { turn.unlock() }
        crew.pause(plan.hold)
        if isDurable { turn.lock() }
        if !isFreeze { _ = ask("refresh", "control", "POST", "/v1/refresh?reason=soak") }
        // Another configuration lets go of it no more than its sources do.
        let reloaded = Result { if verb == "rollback" { try reloadInTurn(.more) } }
        ledger.commandBegins()
        let end = ask(ends, "control", "POST", "/v1/\(ends)?reason=soak")
        if end == nil, ledger.isUp { promises.check(.commandsDone, false, "\(ends) has failed") }
        ledger.commandEnds(.following, asksAnew: isFreeze)
        turn.unlock()
        try reloaded.get()
        return true
    }

    // MARK: A document that breaks a rule

    private func accept(_ crew: Crew) throws {
        guard let turn = sources.turns["plain"], turn.lock(before: Date.now + 60) else { return }
        defer { turn.unlock() }
        try chaos.cause(.breaksRule, of: "plain") { offer in
            guard let offer else { return }
            self.turn.lock()
            defer { self.turn.unlock() }
            guard let digest = quarantined(crew) else { return }
            ledger.change { _ = $0.accepted.insert(offer.number) }
            // The source is well as soon as it is taken.
            ledger.faultEnded("plain")
            guard ask("accept", "control", "POST", "/v1/accept?digest=\(digest)&source=plain&reason=soak") != nil else {
                return
            }
            // From now on it is a document like any other.
            ledger.offered("plain", offer.number)
            let arrived = until(10, crew) {
                _ = try? agent.command("/v1/refresh?source=plain")
                let answer = try? LocalSocket(agent.socket("config"), timeout: 5).get("/v1/config/plain.n")
                return answer.map { String(decoding: $0.body, as: UTF8.self) == "\"\(offer.number)\"" } ?? false
            }
            promises.check(.commandsDone, arrived || !crew.goesOn, "what was accepted did not come: \(offer.number)")
        }
    }

    /// The digest of what was refused last, once that is what the source gives now.
    private func quarantined(_ crew: Crew) -> String? {
        var digest: String?
        _ = until(8, crew) {
            let report = (try? agent.command("/v1/refresh?source=plain"))?.json
            let source = (report?["sources"] as? [String: Any])?["plain"] as? [String: Any]
            guard (source?["error"] as? [String: Any])?["code"] as? String == "refused" else { return false }
            digest = newestRefused()
            return digest != nil
        }
        promises.check(.commandsDone, digest != nil || !crew.goesOn, "nothing is in quarantine")
        return digest
    }

    private func newestRefused() -> String? {
        let answer = try? agent.ask("status", "/v1/quarantine")
        let all = answer?.json["documents"] as? [[String: Any]] ?? []
        let ours = all.filter { $0["source"] as? String == "plain" }
        return ours.max { $0["last"] as? String ?? "" < $1["last"] as? String ?? "" }?["digest"] as? String
    }

    private func until(_ seconds: Double, _ crew: Crew, _ holds: () -> Bool) -> Bool {
        let deadline = Date.now + seconds
        while !holds() {
            guard Date.now < deadline, crew.pause(0.2) else { return false }
        }
        return true
    }
}
