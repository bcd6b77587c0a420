import AgentAPI
import Testing

@Suite struct PathsTests {
    @Test func areBelowTheRuntimeDirectory() {
        let paths = AgentPaths(runtimeDirectory: "/run/agent//")
        #expect(paths.runtimeDirectory == "/run/agent")
        #expect(paths.statusSocket == "/run/agent/status.sock")
        #expect(paths.configSocket == "/run/agent/config.sock")
        #expect(paths.controlSocket == "/run/agent/control.sock")
        #expect(paths.locksSocket == "/run/agent/locks.sock")
        #expect(paths.lockFile == "/run/agent/agentd.lock")
        #expect(AgentPaths(runtimeDirectory: "/").lockFile == "/agentd.lock")
        #expect(AgentPaths(runtimeDirectory: "run").lockFile == "run/agentd.lock")
    }
}
