internal import Foundation
import TestSupport
import Testing

/// What can become of a stored copy while nobody looks.
enum Damage: CaseIterable, Sendable {
    case cutOff, bitFlipped, emptied, swapped, newerFormat, directory, symbolicLink, pipe

    /// Whether the file is kept under another name. What could not even be read stays where it is.
    var isSetAside: Bool {
        switch self {
        case .directory, .symbolicLink, .pipe: false
        default: true
        }
    }

    /// - Returns: what exactly was done.
    func inflict(on path: String, other: String) throws -> String {
        let url = URL(fileURLWithPath: path)
        var bytes = [UInt8](try Data(contentsOf: url))
        switch self {
        case .cutOff:
            let place = Int.random(in: 0..<bytes.count)
            try Data(bytes[..<place]).write(to: url)
            return "cut off at \(place) of \(bytes.count)"
        case .bitFlipped:
            let place = Int.random(in: 0..<bytes.count)
            let bit = Int.random(in: 0..<8)
            bytes[place] ^= 1 << bit
            try Data(bytes).write(to: url)
            return "bit \(bit) of byte \(place) of \(bytes.count)"
        case .emptied: try Data().write(to: url)
        case .swapped: try Data(contentsOf: URL(fileURLWithPath: other)).write(to: url)
        case .newerFormat:
            let text = String(decoding: bytes, as: UTF8.self)
            try Data(text.replacingOccurrences(of: "config-agent document 1\n", with: "config-agent document 2\n").utf8)
                .write(to: url)
        case .directory:
            unlink(path)
            try createDirectory(path)
        case .symbolicLink:
            rename(path, path + ".elsewhere")
            symlink(path + ".elsewhere", path)
        case .pipe:
            unlink(path)
            mkfifo(path, 0o600)
        }
        return "\(self)"
    }
}

@Suite("Stored copies damaged while the agent is stopped")
struct StoredCopyTests {
    /// Cuts and flips happen at random places: a few of each.
    private static let cases: [(damage: Damage, number: Int)] = Damage.allCases.flatMap { damage in
        (1...(damage == .cutOff || damage == .bitFlipped ? 6 : 1)).map { (damage, $0) }
    }

    private static func document(_ source: String, _ version: Int) -> String {
        #"{"\#(source)": {"version": \#(version), "again": \#(version)}}"#
    }

    private struct Rig {
        let agent: FaultAgent
        let remote: RemoteOrigin

        /// Two sources, each stored, and then the agent stopped and both sources out of reach.
        init(appRequired: Bool) throws {
            let made = try FaultAgent { directory in
                try directory.write("local.json", StoredCopyTests.document("local", 1))
                return AgentSettings(sources: [
                    "app": RemoteOrigin.settings(in: directory, more: ["required: \(appRequired)"]),
                    "local": SourceSettings(url: "file://\(directory.path("local.json"))", poll: "1h"),
                ])
            }
            agent = made
            remote = try RemoteOrigin(in: made.directory) { .document(StoredCopyTests.document("app", 1), to: $0) }
            try agent.start()
            try agent.waitUntilReady()
            try agent.waitUntilHealthy()
            try agent.waitUntilDurable()
            try agent.stop()
            remote.goAway()
            rename(agent.directory.path("local.json"), agent.directory.path("local.away"))
        }

        /// Without it the newest copy is the only one.
        func loseHistory() throws {
            for name in ["history", "generations"] {
                try FileManager.default.removeItem(atPath: agent.directory.path("state/\(name)"))
            }
        }

        func comeBack() {
            remote.origin.answer { .document(StoredCopyTests.document("app", 2), to: $0) }
            remote.comeBack()
            rename(agent.directory.path("local.away"), agent.directory.path("local.json"))
        }
    }

    @Test("Of a required source: not ready, says why, and recovers with the origin", arguments: cases.indices)
    func required(_ index: Int) throws {
        let damage = Self.cases[index].damage
        let rig = try Rig(appRequired: true)
        try rig.loseHistory()
        let agent = rig.agent
        let path = agent.documents + "/app"
        let what = try damage.inflict(on: path, other: agent.documents + "/local")
        try agent.start()
        try agent.waitUntilRunning()
        try waitUntil("the first fetch to fail", deadline: .seconds(15)) {
            try !agent.status()["sources"]["app"]["last_error"].isNull
        }
        #expect(try HTTPClient.send("GET", "/readyz", to: agent.statusSocket).status == 503, "\(what)")
        #expect(try agent.value("app").status == 503, "\(what)")
        let reasons = try agent.reasons()
        #expect(reasons.contains("no_snapshot"), "\(what): \(reasons)")
        try agent.waitUntilLogged("the stored copy of source app cannot be used")
        #expect(FileManager.default.fileExists(atPath: path + ".bad") == damage.isSetAside, "\(what)")

        rig.comeBack()
        #expect(try agent.refresh().status == 200)
        try agent.waitUntilReady()
        #expect(try agent.value("app.version").line == "2", "\(what)")
        #expect(try agent.value("local.version").line == "1", "\(what)")
        try expectRecovery(of: agent, damage, path, what)
    }

    @Test(
        "Where another generation's copy is whole, that one is served",
        arguments: [Damage.directory, .symbolicLink, .pipe]
    )
    func fromHistory(_ damage: Damage) throws {
        let rig = try Rig(appRequired: true)
        let agent = rig.agent
        let path = agent.documents + "/app"
        let what = try damage.inflict(on: path, other: agent.documents + "/local")
        try agent.start()
        try agent.waitUntilReady()
        #expect(try agent.value("app.version").line == "1", "\(what)")
        try agent.waitUntilLogged("the stored copy of source app cannot be used")
        rig.comeBack()
        #expect(try agent.refresh().status == 200)
        #expect(try agent.value("app.version").line == "2", "\(what)")
        try expectRecovery(of: agent, damage, path, what)
    }

    @Test("Of an optional source: ready with the others, and recovers with the origin", arguments: cases.indices)
    func optional(_ index: Int) throws {
        let damage = Self.cases[index].damage
        let rig = try Rig(appRequired: false)
        try rig.loseHistory()
        let agent = rig.agent
        let path = agent.documents + "/app"
        let what = try damage.inflict(on: path, other: agent.documents + "/local")
        try agent.start()
        try agent.waitUntilReady()
        #expect(try agent.value("local.version").line == "1", "\(what)")
        #expect(try agent.value("app").status == 404, "\(what)")
        try agent.waitUntilLogged("the stored copy of source app cannot be used")
        #expect(FileManager.default.fileExists(atPath: path + ".bad") == damage.isSetAside, "\(what)")
        try waitUntil("its source to be told as failing", deadline: .seconds(15)) {
            try agent.control("status").code == 1 && !agent.status()["sources"]["app"]["last_error"].isNull
        }

        rig.comeBack()
        #expect(try agent.refresh().status == 200)
        #expect(try agent.value("app.version").line == "2", "\(what)")
        try expectRecovery(of: agent, damage, path, what)
    }

    private func expectRecovery(of agent: FaultAgent, _ damage: Damage, _ path: String, _ what: String) throws {
        if damage == .directory {
            // It cannot be replaced by a file. That is told, and ends when somebody makes room.
            try waitUntil("not_durable") { try agent.reasons() == ["not_durable"] }
            rmdir(path)
        }
        try agent.waitUntilHealthy()
        try agent.waitUntilDurable()
        #expect(try agent.status()["generation"].int ?? 0 > 0)
        try agent.stop()
        // The new copy is good.
        unlink(agent.directory.path("local.json"))
        unlink(agent.directory.path("origin.sock"))
        try agent.start()
        try agent.waitUntilReady()
        #expect(try agent.value("app.version").line == "2", "\(what)")
        #expect(!agent.log.contains("cannot be used"), "\(what): \(agent.log)")
    }
}
