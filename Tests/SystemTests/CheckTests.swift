internal import Foundation
import TestSupport
import Testing

/// Documents that are checked by commands, as operators meet them.
@Suite("Checks by commands")
struct CheckTests {
    private let files: TemporaryDirectory

    init() throws {
        files = try TemporaryDirectory(prefix: "check")
        try Program.check(["chmod", "755", files.path])
        try files.write("app.json", #"{"v": 1}"#)
        // Says what it sees, and no to what is odd.
        let script = try files.write(
            "check.sh",
            """
            #!/bin/sh
            document=$(cat)
            [ "$document" = "$(cat "$2")" ] || { echo "two documents"; exit 1; }
            [ "$(pwd)" = / ] || { echo "where am I"; exit 1; }
            echo "$AGENT_SOURCE $AGENT_FORMAT $1"
            case $document in *odd*) echo "line 1: it is odd" >&2; exit 3 ;; *silent*) exec >/dev/null 2>&1; exit 4 ;; esac
            """
        )
        try Program.check(["chmod", "755", script])
    }

    private func settings(_ command: String? = nil) -> AgentSettings {
        let command = command ?? "\(files.path("check.sh")), first, \"{staged}\""
        let source = SourceSettings(
            url: "file://\(files.path("app.json"))",
            poll: "1h",
            more: ["guard: {check: {command: [\(command)], timeout: 1m}}", "watch: false"]
        )
        return AgentSettings(sources: ["app": source])
    }

    private func outcome(_ agent: AgentProcess) throws -> JSONValue {
        try agent.refresh("app").json()["sources"]["app"]
    }

    @Test("Yes, no and why: with the document on the input and by its path, and no word more than the command says")
    func verdicts() throws {
        let agent = try AgentProcess.ready(settings())
        #expect(try agent.value("v").line == "1")
        try files.write("app.json", #"{"v": "odd"}"#)
        let refused = try outcome(agent)
        #expect(refused["error"]["code"].string == "refused")
        #expect(refused["error"]["message"].string == "app json first, and 1 more")
        let listed = try agent.control("quarantine").standardOutput
        #expect(listed.contains("  app json first\n  line 1: it is odd\n"), "\(listed)")
        #expect(try agent.value("v").line == "1")
        try files.write("app.json", #"{"v": "silent"}"#)
        #expect(try outcome(agent)["error"]["message"].string == "app json first")
        try files.write("app.json", #"{"v": 2}"#)
        #expect(try outcome(agent)["outcome"].string == "published")
        let status = try agent.status()
        #expect(status["health"]["reasons"].array.isEmpty)
        // A shell takes some time, of which no other stage is accused.
        let way = status["sources"]["app"]["trace"]
        #expect(way["received_to_checked_us"].int ?? 0 > 0 && way["received_to_verified_us"].int != nil, "\(way)")
        // Overruled, it is not asked again.
        try files.write("app.json", #"{"v": "odd"}"#)
        #expect(try outcome(agent)["error"]["code"].string == "refused")
        let digest = try #require(
            try JSONValue(parsing: agent.control("quarantine", "-o", "json").standardOutput)["documents"].array
                .first { $0["times"].int == 2 }?["digest"].string
        )
        #expect(try agent.control("accept", String(digest.prefix(12)), "--reason", "odd it is").code == 0)
        #expect(try agent.value("v").line == #""odd""#)
    }

    @Test("Of rules, the command has the last word, and is not asked about what they refuse")
    func order() throws {
        var settings = settings("/bin/false")
        settings.sources["app"]?.more = [
            "guard: {check: [/bin/false], required: [w]}", "required: false", "watch: false",
        ]
        let agent = try AgentProcess(settings)
        try waitUntil("it to be refused") { try agent.control("quarantine").standardOutput.contains("w: is missing") }
        try files.write("app.json", #"{"w": 1}"#)
        #expect(try outcome(agent)["error"]["message"].string == "its check ended with status 1")
    }

    @Test("What is stored is served at the start, and its source asked for the whole, so that it is checked")
    func restart() throws {
        let agent = try AgentProcess.ready(settings())
        try waitUntil("it is on disk") { try agent.status()["durable_generation"].int == 1 }
        agent.program.stop()
        try Program.check(["chmod", "755", files.write("check.sh", "#!/bin/sh\necho changed my mind\nexit 1\n")])
        let again = try AgentProcess(after: agent)
        try again.waitUntilReady()
        #expect(try again.value("v").line == "1")
        try waitUntil("it is told") {
            let reasons = try again.status()["health"]["reasons"].array
            return reasons.contains { $0["message"].string?.contains("changed my mind") == true }
        }
        #expect(try again.value("v").line == "1")
    }

    @Test("A document whose check takes long does not come after one that came after it")
    func overtaken() throws {
        let script = "#!/bin/sh\ncase $(cat) in *slow*) sleep 3 ;; esac\n"
        try Program.check(["chmod", "755", files.write("check.sh", script)])
        let agent = try AgentProcess.ready(settings())
        try files.write("app.json", #"{"v": "slow"}"#)
        // Who asks does not wait for the answer.
        #expect(throws: (any Error).self) { try agent.refresh("app", timeout: .milliseconds(300)) }
        try files.write("app.json", #"{"v": 3}"#)
        #expect(try outcome(agent)["outcome"].string == "published")
        try waitUntil("the first check to have ended") {
            try Program.run(["pgrep", "-f", "agent-check --isolate --hide .*\(agent.runtimeDirectory)"]).code == 1
        }
        let generation = try agent.status()["generation"].int
        // The pipeline has seen it: what is asked now comes behind it.
        #expect(try outcome(agent)["outcome"].string == "unchanged")
        #expect(try agent.value("v").line == "3" && agent.status()["generation"].int == generation)
    }

    @Test("A command that cannot be run says nothing about the document, and that is told")
    func notRun() throws {
        var settings = settings("/no/such/program")
        settings.sources["app"]?.more.append("required: false")
        let agent = try AgentProcess(settings)
        try waitUntil("it is told") {
            let error =
                try agent.status()["sources"].array.first?["error"] ?? agent.status()["sources"]["app"]["last_error"]
            return "\(error)".contains("check_not_run") || agent.log.contains("/no/such/program")
        }
        #expect(agent.log.contains("cannot run /no/such/program: No such file or directory"), "\(agent.log)")
        #expect(try agent.control("quarantine").standardOutput == "no document was refused by rules\n")
    }

    @Test("Why a command cannot be run is told with what to do about that, and not about the document")
    func advice() throws {
        let directory = try TemporaryDirectory(prefix: "advice")
        for name in ["run", "state"] { try createDirectory(directory.path(name)) }
        try Program.check(["chmod", "755", directory.path])
        func script(_ name: String, _ text: String, _ mode: String) throws -> String {
            let path = try directory.write(name, text)
            try Program.check(["chmod", mode, path])
            return path
        }
        let cases = [
            ("/no/such/program", "install it", true),
            (directory.path, "it is a directory", true),
            (try script("plain", "#!/bin/sh\n", "644"), "chmod a+rx it", true),
            (try script("orphan", "#!/no/such/shell\n", "755"), "its first line (#!)", false),
            (try script("bare", "exit 0\n", "755"), "a script needs a first line like #!/bin/sh", false),
        ]
        for (command, advice, isDoubtful) in cases {
            let configuration = try directory.write("agent.yaml", settings(command).yaml(in: directory.path))
            let app = files.path("app.json")
            let check = [AgentProcess.path(of: "agentctl"), "check", app, "--source", "app", "--config", configuration]
            let tried = try Program.run(check)
            #expect(tried.code == 1 && tried.standardOutput.contains(advice), "\(tried)")
            #expect(!tried.standardOutput.contains("mend the document"), "\(tried)")
            let looked = try Program.run([
                AgentProcess.path(of: "agentd"), "--config", configuration, "--check-config",
            ])
            #expect(looked.code == 0, "\(looked)")
            #expect(looked.standardError.contains("warning: source app: ") == isDoubtful, "\(looked)")
        }
    }

    @Test("A reload waits for no command that it has put out of the way")
    func reloadOfHanging() throws {
        let agent = try AgentProcess.ready(settings("/bin/sh, -c, \"if grep -q slow; then sleep 50; fi\""))
        try files.write("app.json", #"{"v": "slow"}"#)
        // Nobody knows yet.
        #expect(try agent.control("refresh", "app", "--timeout", "2").code == 4)
        #expect(try agent.value("v").line == "1")
        try agent.directory.write("agent.yaml", settings("/bin/true").yaml(in: agent.directory.path))
        #expect(try agent.control("reload", "--wait").code == 0)
        try waitUntil("it is taken", deadline: .seconds(40)) { try agent.value("v").line == #""slow""# }
    }

    @Test("A reload brings a check, and the place where it is run")
    func reload() throws {
        var plain = settings()
        plain.sources["app"]?.more = ["watch: false"]
        let agent = try AgentProcess.ready(plain)
        #expect(!FileManager.default.fileExists(atPath: agent.runtimeDirectory + "/check.sock"))
        try agent.directory.write("agent.yaml", settings().yaml(in: agent.directory.path))
        #expect(try agent.control("reload", "--wait").code == 0)
        try files.write("app.json", #"{"v": "odd"}"#)
        try waitUntil("it is refused") { try outcome(agent)["error"]["code"].string == "refused" }
        try files.write("app.json", #"{"v": 3}"#)
        #expect(try outcome(agent)["outcome"].string == "published")
    }

    @Test("What would become of a document is told by the command, too; without an agent, and by --once")
    func tries() throws {
        let directory = try TemporaryDirectory(prefix: "try")
        for name in ["run", "state"] { try createDirectory(directory.path(name)) }
        let configuration = try directory.write("agent.yaml", settings().yaml(in: directory.path))
        let agentd = AgentProcess.path(of: "agentd")
        let odd = try directory.write("odd.json", #"{"v": "odd"}"#)
        let check = [AgentProcess.path(of: "agentctl"), "check", odd, "--source", "app", "--config", configuration]
        let refused = try Program.run(check)
        #expect(refused.code == 1 && refused.standardOutput.contains("  line 1: it is odd"), "\(refused)")
        let tried = try Program.run([agentd, "--config", configuration, "--check-config", "--try"])
        #expect(tried.code == 0 && tried.standardOutput.contains("app: would be accepted"), "\(tried)")
        let once = try Program.run([agentd, "--config", configuration, "--once"])
        #expect(once.code == 2, "\(once)")
        try files.write("app.json", #"{"v": "odd"}"#)
        #expect(try Program.run([agentd, "--config", configuration, "--once"]).code == 1)
        #expect(!FileManager.default.fileExists(atPath: directory.path("run/check.sock")))
    }
}
