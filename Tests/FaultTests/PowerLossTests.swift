import AgentTestSupport
import ConfigTrust
internal import Foundation
import TestSupport
import Testing

/// A state directory on a file system of its own, whose disk can be looked at as a power cut at this moment would leave it.
///
/// The disk of the inner file system (ext4) is a file on an outer one (XFS) that copies a file at one instant, by
/// reference: nothing is synced for it, and no write comes in between.
private final class CutDisk: @unchecked Sendable {
    let directory: TemporaryDirectory
    private let outer: String
    private var mounts: [String] = []

    init() throws {
        directory = try TemporaryDirectory(prefix: "power")
        outer = directory.path("outer")
        try createDirectory(outer)
        let image = directory.path("outer.img")
        try Program.check(["truncate", "-s", "512M", image])
        try Program.check(["mkfs.xfs", "-q", image])
        try mount(image, on: outer)
        try Program.check(["truncate", "-s", "48M", outer + "/disk.img"])
        try Program.check(["mkfs.ext4", "-q", "-F", outer + "/disk.img"])
    }

    deinit {
        for path in mounts.reversed() { _ = try? Program.run(["umount", "-l", path]) }
    }

    /// Mounts the disk, or a copy of it, in place of a directory.
    func mount(copy: String? = nil, on path: String) throws { try mount(outer + "/" + (copy ?? "disk.img"), on: path) }

    private func mount(_ image: String, on path: String) throws {
        try Program.check(["mount", "-o", "loop", image, path])
        mounts.append(path)
    }

    func unmount(_ path: String) throws {
        try Program.check(["umount", path])
        mounts.removeAll { $0 == path }
    }

    /// What is on the disk now.
    func cut() throws {
        unlink(outer + "/cut.img")
        try Program.check(["cp", "--reflink=always", outer + "/disk.img", outer + "/cut.img"])
    }
}

/// The power goes, at any time: what was called durable is there when it is back.
@Suite("Power cuts", .serialized, .enabled(if: mayMount))
struct PowerLossTests {
    private static let rounds = ProcessInfo.processInfo.environment["POWER_ROUNDS"].flatMap { Int($0) } ?? 20

    private static func agent(_ origin: HeldOrigin?, signer: Signer) throws -> FaultAgent {
        try FaultAgent { directory in
            try directory.write("keys/test.pub", signer.keys[0].publicKey.pem)
            let more = ["verify: {keys: \(directory.path("keys")), signature: carried}"]
            let url = origin?.url("/app.json") ?? "file:///none/app.json"
            return AgentSettings(sources: ["app": SourceSettings(url: url, poll: "1h", more: more)])
        }
    }

    /// What was called durable before each cut, and what was there after it.
    private struct Outcome {
        var claimed = 0
        var found: Int?
    }

    /// - Parameters:
    ///   - pinned: keeps the first content in use.
    ///   - environment: of the agent whose power goes.
    private func cuts(
        _ rounds: Int,
        pinned: Bool = false,
        environment: [String: String] = [:]
    ) throws -> [Outcome] {
        let signer = Signer(PrivateKey())
        let sequence = Sequence()
        let origin = try HeldOrigin { _ in
            let number = sequence.next()
            let document = NumberedDocument.json("app", number, size: NumberedDocument.anySize)
            return .http(200, body: (try? signer.carried(document, UInt64(number))) ?? [])
        }
        defer { origin.stop() }
        let disk = try CutDisk()
        let agent = try Self.agent(origin, signer: signer)
        try disk.mount(on: agent.directory.path("state"))
        let after = try Self.agent(nil, signer: signer)
        try agent.start(environment: environment)
        try agent.waitUntilReady()
        let isChanging = Flag()
        let driver = PendingThreads(count: 1) { _ in
            while isChanging.isSet { _ = try? agent.refresh() }
        }
        defer {
            isChanging.clear()
            _ = try? driver.results()
            agent.kill()
            try? agent.waitForEnd()
            // Before the directory goes, with the disk's own.
            try? disk.unmount(agent.directory.path("state"))
        }
        if pinned {
            let answer = try HTTPClient.send("POST", "/v1/pin", to: agent.controlSocket, timeout: .seconds(30))
            #expect(try answer.json()["durable"].bool == true)
        }
        var outcomes: [Outcome] = []
        var numbers: [Int: Int] = [:]
        for _ in 1...rounds {
            // At any instant, and some life in between.
            let until = ContinuousClock.now + .microseconds(Int.random(in: 20_000...150_000))
            var durable = 0
            repeat {
                let value = try agent.value("")
                if let generation = value.headers["agent-generation"].flatMap({ Int($0) }) {
                    numbers[generation] = NumberedDocument.sequence(of: try value.json()["app"])
                }
                durable = try agent.status()["durable_generation"].int ?? 0
            } while ContinuousClock.now < until
            try disk.cut()
            let claimed = numbers.filter { $0.key <= durable }.max { $0.key < $1.key }?.value ?? 0
            let found = try afterPowerIsBack(disk, after) {
                // Where none is served, or it is not whole, there is none.
                (try? after.waitUntilReady(deadline: .seconds(3))) == nil ? nil : try number(servedBy: after)
            }
            outcomes.append(Outcome(claimed: claimed, found: found))
        }
        return outcomes
    }

    /// Has an agent start from what is on the disk, and looks at it.
    private func afterPowerIsBack<Found>(_ disk: CutDisk, _ agent: FaultAgent, _ look: () throws -> Found) throws
        -> Found
    {
        let state = agent.directory.path("state")
        try disk.mount(copy: "cut.img", on: state)
        defer { try? disk.unmount(state) }
        try agent.start()
        defer {
            agent.kill()
            try? agent.waitForEnd()
        }
        return try look()
    }

    private func number(servedBy agent: FaultAgent) throws -> Int? {
        NumberedDocument.sequence(of: try agent.value("").json()["app"])
    }

    @Test("What was durable is there, whole and signed, at whatever instant the power goes")
    func durable() throws {
        let outcomes = try cuts(Self.rounds)
        for (round, outcome) in outcomes.enumerated() {
            // Before anything was called durable nothing need be there.
            #expect(outcome.claimed == 0 || outcome.found ?? -1 >= outcome.claimed, "cut \(round): \(outcome)")
        }
        #expect(Set(outcomes.map(\.claimed)).count > Self.rounds / 2, "it was changing all the time")
    }

    @Test("A pin that was answered is in force again, with what it holds")
    func pinned() throws {
        let outcomes = try cuts(max(5, Self.rounds / 4), pinned: true)
        #expect(outcomes.first?.claimed ?? 0 > 0)
        for (round, outcome) in outcomes.enumerated() {
            #expect(outcome.found == outcome.claimed, "cut \(round): \(outcome)")
        }
        #expect(Set(outcomes.map(\.claimed)).count == 1)
    }

    @Test("Whatever was commanded and answered is in force again: pins, ways back, freezes, and their ends")
    func commanded() throws {
        let sequence = Sequence()
        let disk = try CutDisk()
        let agent = try FaultAgent { AgentSettings(sources: ["app": RemoteOrigin.settings(in: $0)]) }
        let remote = try RemoteOrigin(in: agent.directory) { _ in
            .http(200, body: NumberedDocument.json("app", sequence.next(), size: NumberedDocument.anySize))
        }
        defer { remote.origin.stop() }
        let after = try FaultAgent { _ in
            AgentSettings(sources: ["app": SourceSettings(url: "file:///none/app.json", poll: "1h")])
        }
        try disk.mount(on: agent.directory.path("state"))
        try agent.start()
        try agent.waitUntilReady()
        let commander = Operator(agent, Held(), [:])
        let work = PendingThreads(count: 1) { _ in commander.work() }
        defer {
            commander.stop()
            _ = try? work.results()
            agent.kill()
            try? agent.waitForEnd()
            try? disk.unmount(agent.directory.path("state"))
        }
        let rounds = max(10, Self.rounds / 2)
        var (pinned, frozen) = (0, 0)
        for round in 1...rounds {
            let answered = commander.answered
            try waitUntil("another command to be answered", deadline: .seconds(60)) { commander.answered > answered }
            pauseThread(.microseconds(Int.random(in: 0...50_000)))
            let mark = commander.mark
            try disk.cut()
            let possible = commander.possible(since: mark)
            let seen = commander.seen
            let (found, served) = try afterPowerIsBack(disk, after) {
                try after.waitUntilReady()
                return (Held(try after.status()["operator"]), try number(servedBy: after))
            }
            #expect(possible.contains(found), "cut \(round): \(found), not one of \(possible)")
            if found.isFrozen { frozen += 1 }
            guard let pin = found.pin, let wanted = seen[pin] else { continue }
            pinned += 1
            #expect(served == wanted, "cut \(round): what generation \(pin) had")
        }
        #expect(pinned > 0 && frozen > 0, "\(pinned) pinned, \(frozen) frozen of \(rounds)")
    }

    @Test("Without syncs it is not: the check finds what it is there to find")
    func control() throws {
        let directory = try TemporaryDirectory()
        let source = try directory.write("nosync.c", "int fsync(int d) { (void)d; return 0; }\n")
        let library = directory.path("nosync.so")
        try Program.check(["cc", "-shared", "-fPIC", "-o", library, source])
        let outcomes = try cuts(8, environment: ["LD_PRELOAD": library])
        #expect(outcomes.contains { ($0.found ?? -1) < $0.claimed }, "\(outcomes)")
    }
}

private final class Flag: @unchecked Sendable {
    private let lock = NSLock()
    private var value = true
    var isSet: Bool { lock.withLock { value } }
    func clear() { lock.withLock { value = false } }
}
