import AgentAPI
import AgentctlKit
import Testing

@Suite struct ProblemTests {
    private let paths = AgentPaths(runtimeDirectory: "/run/agent")

    @Test func onlyALivingAgentIsAsked() {
        #expect(Problem(.held(pid: 7), paths: paths) == nil)
        #expect(Problem(.held(pid: nil), paths: paths) == nil)
        for probe in [InstanceLock.Probe.free, .missing] {
            let problem = Problem(probe, paths: paths)
            #expect(problem?.exit.rawValue == 3)
            #expect(
                problem?.text == "agentctl: agent is not running (nobody holds /run/agent/agentd.lock); "
                    + "start it with: systemctl start agent"
            )
        }
        #expect(Problem(.noPermission, paths: paths)?.exit.rawValue == 4)
        #expect(Problem(.failed(operation: "open", errno: 5), paths: paths)?.exit.rawValue == 4)
        #expect(Problem(.failed(operation: "open", errno: 5), paths: paths)?.text.contains("error") == true)
        #expect(Problem(.free, paths: AgentPaths(runtimeDirectory: "/tmp"))?.text.contains("--runtime-dir") == true)
    }

    @Test func aRefusalNamesTheNearest() {
        let detail = ErrorDetail(
            code: "no_such_key",
            message: "there is no key 'db.ulr'\u{1B}",
            hint: "Look at: agentctl get",
            nearest: ["db.url", "db.uri"]
        )
        #expect(
            Problem(ErrorReport(error: detail), exit: .failure).text
                == #"agentctl: there is no key 'db.ulr'\u{1b}; did you mean db.url or db.uri? Look at: agentctl get"#
        )
        let bare = ErrorDetail(code: "x", message: "no", nearest: [])
        #expect(Problem(ErrorReport(error: bare), exit: .unknown).text == "agentctl: no")
    }
}
