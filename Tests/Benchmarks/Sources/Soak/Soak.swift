import BenchKit
import Foundation

/// One soak from its beginning to its end.
final class Soak: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: nothing of it changes but what has a lock of its own.
    private let plan: Plan
    private let directory: URL
    private let promises = Promises()
    private let counters = Counters()
    private let stalls = StallWatch()
    private let ledger: Ledger
    private let sources: Sources
    private let agent: Agent
    private let scraper: Scraper
    private let sampler: Sampler
    private let chaos: Chaos
    private let theOperator: Operator
    private let lives: Lives
    /// Those who do things, and those who look: they stay until all is well again.
    private let doers = Crew()
    private let changers = Crew()
    private let lookers = Crew()

    init(_ plan: Plan, binaries: URL) throws {
        self.plan = plan
        directory = FileManager.default.temporaryDirectory.appending(path: "soak-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let agentctl = binaries.appending(path: "agentctl").path
        var etcd: EtcdStore?
        do {
            let signer = try Signer(agentctl: agentctl, directory: directory)
            etcd = EtcdStore.isInstalled ? try EtcdStore(in: directory) : nil
            let layers = Sources.layers + (etcd == nil ? [] : ["etcd"])
            ledger = Ledger(layers: layers, promises: promises, stalls: stalls)
            sources = try Sources(in: directory, signer: signer, etcd: etcd, ledger: ledger)
        } catch {
            etcd?.stop()
            try? FileManager.default.removeItem(at: directory)
            throw error
        }
        let configuration = Configuration(directory: directory, sources: sources)
        agent = Agent(binaries: binaries, configuration: configuration, ledger: ledger, promises: promises)
        scraper = Scraper(agent, ledger, promises, counters)
        sampler = Sampler(agent, scraper, counters, plan)
        chaos = Chaos(sources, plan, promises)
        theOperator = Operator(agent, sources, chaos, plan)
        lives = Lives(agent, theOperator, plan)
    }

    func run() throws -> Report {
        defer {
            agent.stop()
            sources.stop()
            try? FileManager.default.removeItem(at: directory)
        }
        try agent.configuration.write(.plain)
        startLookers()
        try agent.start()
        startChangers()
        if plan.plant != .idle { startDoers() }
        if let plant = plan.plant { doers.start("plant") { [self] in try sow(plant) } }
        while promises.seconds < plan.seconds, !Interrupt.isRaised, doers.troubles.isEmpty { usleep(100_000) }
        // The longest that anything waits for: an answer to a command.
        doers.end(within: 45)
        changers.end(within: 30)
        if !Interrupt.isRaised { recover() }
        let isAlive = ledger.isUp
        lookers.end(within: 20)
        if isAlive { agent.end(by: SIGTERM) }
        return report()
    }

    // MARK: Threads

    private func startLookers() {
        lookers.start("stalls") { [self] in stalls.run(lookers) }
        lookers.start("agent") { [self] in agent.watch(lookers) }
        lookers.start("scraper") { [self] in scraper.run(lookers) }
        lookers.start("sampler") { [self] in sampler.run(lookers) }
        lookers.start("lateness") { [self] in while lookers.pause(0.5) { ledger.checkLateness() } }
        let readers = Readers(agent: agent, ledger: ledger, promises: promises, counters: counters)
        for number in 1...4 {
            lookers.start("reader \(number)") { [self] in readers.whole("reader \(number)", lookers) }
        }
        lookers.start("on demand") { [self] in readers.onDemand(lookers) }
        let watchers = Watchers(agent: agent, ledger: ledger, promises: promises, counters: counters)
        let topics: [(Watchers.Topic, Bool)] = [
            (.everything, false), (.everything, true), (.value("file"), false), (.value("signed"), true),
        ]
        for (number, (topic, leaves)) in topics.enumerated() {
            let name = "watcher \(number + 1)"
            lookers.start(name) { [self] in watchers.watch(name, topic, leaves: leaves, lookers) }
        }
    }

    private func startChangers() {
        // First fast, so that what the agent remembers of changes is soon all that it ever will.
        let (plan, scraper, promises) = (plan, scraper, promises)
        let isFast: @Sendable () -> Bool = {
            scraper.seen.generation < plan.warmUpGenerations && promises.seconds < plan.warmUp.upperBound
        }
        let paces: [String: @Sendable () -> Double] = [
            "file": { isFast() ? 0.05 : 0.3 }, "etcd": { isFast() ? 0.08 : 0.6 }, "signed": { 1.3 }, "plain": { 0.9 },
        ]
        for source in sources.names {
            let pace = paces[source] ?? { 1 }
            changers.start("changes of \(source)") { [self] in try sources.keepChanging(source, changers, pace: pace) }
        }
    }

    private func startDoers() {
        for source in sources.names {
            doers.start("faults of \(source)") { [self] in try chaos.run(source, doers) }
        }
        doers.start("operator") { [self] in try theOperator.run(doers) }
        doers.start("lives") { [self] in try lives.run(doers) }
        doers.start("hostile") { [self] in try Hostile.keepComing(agent, plan, counters, doers) }
    }

    // MARK: Plants

    /// Has something go wrong that has to be found.
    private func sow(_ plant: Plan.Plant) throws {
        guard doers.pause(plan.seconds * 0.3) else { return }
        switch plant {
        case .leak, .idle: break
        case .dead: agent.endUnexpectedly()
        case .half:
            let document = Document(source: "file", number: sources.shelf("file").nextNumber())
            sources.pause("file", true)
            doers.pause(0.2)
            try Data(document.mixed).write(to: sources.file, options: .atomic)
            doers.pause(2)
            sources.pause("file", false)
        case .stale:
            // Whoever has the source's turn is not disturbed.
            let turn = sources.turns["plain"]
            turn?.lock()
            defer { turn?.unlock() }
            let old = Origin.Fault(kind: .older, offer: sources.shelf("plain").older)
            for place in ["plain", "mirror"] { sources.origins[place]?.set(old) }
            doers.pause(4)
            for place in ["plain", "mirror"] { sources.origins[place]?.set(nil) }
        }
    }

    // MARK: The end

    /// Nothing is wrong any more, and nothing changes: all has to be healthy and newest.
    private func recover() {
        let deadline = Date.now + 40
        var lacking = ["nothing is known"]
        while !lacking.isEmpty, Date.now < deadline, !Interrupt.isRaised, ledger.isUp {
            lacking = missing()
            usleep(200_000)
        }
        promises.check(.recovers, lacking.isEmpty && ledger.isUp, lacking.joined(separator: "; "))
    }

    private func missing() -> [String] {
        var lacking = ledger.look { state in
            ledger.layers.filter { state.floors[$0] ?? 0 < state.newestOffer[$0] ?? 0 }
                .map { "\($0) is at \(state.floors[$0] ?? 0) of \(state.newestOffer[$0] ?? 0)" }
        }
        let health = (try? agent.ask("status", "/v1/status"))?.json["health"] as? [String: Any]
        if health?["level"] as? String != "healthy" { lacking.append("health: \(health ?? [:])") }
        let demand = (try? agent.ask("config", "/v1/documents/demand?wait=5"))?.json["demand"] as? [String: Any]
        let newest = ledger.look { $0.newestOffer["demand"] ?? 0 }
        if demand?["n"] as? String != "\(newest)" { lacking.append("demand is at \(demand?["n"] ?? 0) of \(newest)") }
        return lacking
    }

    /// As far as samples tell. At each start a thousand numbers are left out, which a sample may see a little later.
    private static func publications(_ samples: [Sampler.Sample]) -> UInt64 {
        zip(samples, samples.dropFirst()).reduce(0) { sum, pair in
            let step = pair.1.generation - min(pair.0.generation, pair.1.generation)
            return pair.0.life == pair.1.life && step < 900 ? sum + step : sum
        }
    }

    private func report() -> Report {
        let judge = Judge(plan: plan)
        let samples = sampler.all
        let flatness = judge.flatness(samples)
        let (faults, verbs, ends) = (chaos.all, theOperator.all, lives.all)
        let exercises =
            judge.exercises(faults: faults, verbs: verbs, ends: ends, hasEtcd: sources.etcd != nil, counters: counters)
            + judge.exercises(promises)
        var findings = Promise.allCases.filter { promises.count($0).broken > 0 }.map(\.rawValue)
        findings += flatness.filter { !$0.isFlat }.map { "not flat: \($0.name)" }
        findings += exercises.filter { !$0.isEnough }.map { "not exercised: \($0.what): \($0.count) of \($0.minimum)" }
        findings += (doers.troubles + changers.troubles + lookers.troubles).map { "the soak itself: \($0)" }
        if Interrupt.isRaised { findings.append("interrupted") }
        let version = try? Tools.outcome(agent.agentctl, ["--version"], seconds: 10).output
        return Report(
            version: version?.split(whereSeparator: \.isWhitespace).last.map(String.init) ?? "",
            seconds: plan.seconds,
            processors: ProcessInfo.processInfo.activeProcessorCount,
            isGood: findings.isEmpty,
            findings: findings,
            promises: Promise.allCases.map {
                Report.Kept(
                    promise: $0.rawValue,
                    checked: promises.count($0).checked,
                    broken: promises.count($0).broken
                )
            },
            violations: promises.violations,
            excused: promises.excuses,
            longestMachineStallMilliseconds: stalls.worstMilliseconds,
            flatness: flatness,
            exercises: exercises,
            latencies: Report.latencies(sampler.allLatencies),
            reads: counters.reads.load(ordering: .relaxed),
            events: counters.events.load(ordering: .relaxed),
            publications: Self.publications(samples),
            cutOffClients: scraper.seen.cutOff,
            snapshotsBy: scraper.countsSnapshots
                ? "config_agent_live_snapshots" : "the workers' generations in /v1/status",
            faults: faults,
            verbs: verbs,
            ends: ends,
            samples: Report.thinned(samples)
        )
    }
}
