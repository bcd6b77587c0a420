import AgentAPI
import AgentctlKit
import Testing

@Suite("The pages of doctor and support-bundle")
struct DoctorTextTests {
    private let checks = [
        Check("config.loads", nil, .ok, "/etc/agent is valid: 1 source"),
        Check("socket.mode", "status.sock", .fail, "mode 0600 keeps out who may come in", advice: "chmod 0666 it"),
        Check("clock.year", nil, .warn, "an escape \u{1B}[2J", advice: "none"),
        Check("unit.systemd", nil, .skip, "no systemd"),
    ]

    @Test("Aligned, with what to do below, and a sum")
    func page() {
        let expected = """
            ok    config.loads  /etc/agent is valid: 1 source
            fail  socket.mode   status.sock: mode 0600 keeps out who may come in
                                do: chmod 0666 it
            warn  clock.year    an escape \\u{1b}[2J
                                do: none
            skip  unit.systemd  no systemd

            4 checks: 1 ok, 1 warn, 1 fail, 1 skipped

            """
        #expect(DoctorText.render(DoctorReport(checks: checks), style: TextStyle()) == expected)
    }

    @Test("Long lines are wrapped below where they begin")
    func wrapping() {
        let long = Check("a.b", nil, .fail, "one two three four five six", advice: "seven eight nine ten eleven twelve")
        let expected = """
            fail  a.b  one two three four five six
                       do: seven eight nine ten
                           eleven twelve

            1 check: 0 ok, 1 fail

            """
        #expect(DoctorText.render(DoctorReport(checks: [long]), style: TextStyle(width: 40)) == expected)
    }

    @Test("Colours, and what to exit with")
    func colours() {
        let report = DoctorReport(checks: checks)
        #expect(DoctorText.render(report, style: TextStyle(colour: true)).contains("\u{1B}[31mfail\u{1B}[0m  socket"))
        #expect(DoctorText.exitStatus(report) == .failure)
        #expect(DoctorText.exitStatus(DoctorReport(checks: [checks[0], checks[2], checks[3]])) == .success)
    }

    @Test("An archive's page says where it is, and to look at it")
    func bundle() {
        let text = BundleText.render(
            path: "./a.tar.gz",
            contents: [("MANIFEST", "this list", nil), ("b.error", "an answer", "not there")],
            style: TextStyle()
        )
        #expect(text.hasPrefix("wrote ./a.tar.gz, which holds:\n\n  MANIFEST  this list\n"))
        #expect(text.contains("  b.error   an answer (not there)\n"))
        #expect(text.contains("Look through it before you send it to anybody: tar xzf ./a.tar.gz\n"))
    }
}
