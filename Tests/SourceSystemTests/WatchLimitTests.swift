import Foundation
import TestSupport
import Testing

/// Sources that cannot be watched here and now: each says why, and is polled.
@Suite("Where there is no watch to be had")
struct WatchLimitTests {
    /// What is known of the watch of each source.
    private func watches(_ agent: AgentProcess) throws -> [String: JSONValue] {
        let report = try HTTPClient.send("GET", "/v1/sources", to: agent.statusSocket).json()
        let watches = report["sources"].array.map { ($0["name"].string ?? "", $0["watch"]) }
        return Dictionary(uniqueKeysWithValues: watches)
    }

    /// Has a file followed by an agent that cannot watch it.
    private func follow(
        _ root: TemporaryDirectory,
        expected code: String,
        saying words: String,
        by wrap: @escaping ([String]) -> [String]
    ) throws {
        try root.write("app.json", #"{"v": 1}"#)
        let source = SourceSettings(url: "file://\(root.path("app.json"))")
        let agent = try AgentProcess(AgentSettings(sources: ["app": source])) { command, _ in wrap(command) }
        try agent.waitUntilReady()
        let error = try waitFor("the reason") {
            let error = try watches(agent)["app"]?["last_error"]
            return error?["code"].string == nil ? nil : error
        }
        #expect(error["code"].string == code)
        #expect(error["message"].string?.contains(words) == true, "\(error)")
        let shown = try agent.control("sources").standardOutput
        #expect(shown.contains("watched") && shown.contains(words), "\(shown)")
        try root.write("app.json", #"{"v": 22}"#)
        try waitUntil("the change, by a poll") { try agent.value("v").line == "22" }
    }

    @Test("A directory that may not be read", .enabled(if: geteuid() == 0))
    func directory() throws {
        let root = try TemporaryDirectory(prefix: "unreadable")
        chmod(root.path, 0o300)
        try follow(root, expected: "not_watchable", saying: root.path) {
            ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"] + $0
        }
    }

    @Test(
        "No watch and no inotify instance left",
        arguments: [("watches", "no more watches"), ("instances", "no inotify instance")]
    )
    func kernel(_ limit: String, _ words: String) throws {
        let root = try TemporaryDirectory(prefix: "inotify")
        let script = "echo 0 > /proc/sys/user/max_inotify_\(limit) && exec \"$@\""
        try follow(root, expected: "no_watches", saying: words) {
            ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"] + $0
        }
    }

    @Test("More sources than a quarter of the open files")
    func openFiles() throws {
        let etcd = try Etcd()
        var sources: [String: SourceSettings] = [:]
        for number in 1...24 {
            try etcd.put("/\(number)", #"{"v\#(number)": 1}"#)
            sources["s\(number)"] = SourceSettings(url: etcd.url("/\(number)"))
        }
        let agent = try AgentProcess(AgentSettings(sources: sources)) { command, _ in
            ["prlimit", "--nofile=64:64"] + command
        }
        try agent.waitUntilReady()
        func watched() throws -> (open: [String], refused: [String]) {
            let watches = try watches(agent)
            return (
                watches.filter { $0.value["open"].bool == true }.map(\.key),
                watches.filter { $0.value["last_error"]["code"].string == "too_many_watches" }.map(\.key)
            )
        }
        try waitUntil("16 to be watched, and the others to be told") {
            let found = try watched()
            return found.open.count == 16 && found.refused.count == 8
        }
        let unwatched = try #require(try watched().refused.first).dropFirst()
        try etcd.put("/\(unwatched)", #"{"v\#(unwatched)": 22}"#)
        try waitUntil("the change, by a poll") { try agent.value("v\(unwatched)").line == "22" }
    }
}
