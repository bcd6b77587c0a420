internal import Foundation
import TestSupport
import Testing

@Suite("Manual pages and completions")
struct DocumentationTests {
    private func page(_ program: String, _ section: String, in directory: TemporaryDirectory) throws -> String {
        let target = directory.path("\(program).\(section)")
        try Program.check(
            [
                "\(Workspace.root)/packaging/scripts/make-man.py", AgentProcess.path(of: program), section,
                "\(Workspace.root)/packaging/man/\(program).tail", target,
            ],
            environment: ["SOURCE_DATE_EPOCH": "1795356379"]
        )
        return target
    }

    /// What groff has to complain of.
    private func complaints(_ file: String) throws -> ProgramOutput {
        try Program.run(["groff", "-man", "-Tutf8", "-ww", "-z", file])
    }

    @Test("Pages are made from the programs, are equal each time, and leave groff nothing to say")
    func pages() throws {
        let directory = try TemporaryDirectory()
        for (program, section) in [("agentctl", "1"), ("agentd", "8")] {
            let file = try page(program, section, in: directory)
            let text = readText(file)
            #expect(text.contains(".TH \(program.uppercased()) \(section) \"2026-11-22\""))
            #expect(try complaints(file).standardError.isEmpty)
            let again = try TemporaryDirectory()
            #expect(readText(try page(program, section, in: again)) == text)
        }
        let help = try Program.check([AgentProcess.path(of: "agentctl"), "--experimental-dump-help"])
        let commands = try JSONValue(parsing: help)["command"]["subcommands"].array.compactMap {
            $0["commandName"].string
        }
        let text = readText(directory.path("agentctl.1"))
        for command in commands where command != "help" {
            let name = command.replacingOccurrences(of: "-", with: "\\-")
            #expect(text.contains("\n.SS \(name)\n"), "\(command)")
        }
        let configuration = "\(Workspace.root)/packaging/man/agent.yaml.5"
        #expect(try complaints(configuration).standardError.isEmpty)
    }

    @Test("Every key that the sample configuration explains is in agent.yaml(5)")
    func keys() throws {
        let page = readText("\(Workspace.root)/packaging/man/agent.yaml.5")
        let sample = readText("\(Workspace.root)/etc/agent/agent.yaml")
        let keys = Set(sample.matches(of: #/(?m)^[# ]*([a-z]+(?:_[a-z]+)*):(?: |$)/#).map { String($0.1) })
        #expect(keys.isSuperset(of: ["runtime_dir", "url", "max_bytes", "warn_wait"]))
        // Names of sources, and words of sentences.
        for key in keys.subtracting(["app", "remote", "sidecar", "default"]) {
            #expect(page.contains(key), "\(key)")
        }
    }

    @Test("bash takes the completions, and they know every command")
    func completions() throws {
        let directory = try TemporaryDirectory()
        let script = try Program.check([AgentProcess.path(of: "agentctl"), "--generate-completion-script", "bash"])
        let file = try directory.write("agentctl", script)
        try Program.check(["bash", "-n", file])
        for command in ["doctor", "support-bundle", "status"] { #expect(script.contains(command)) }
        for shell in ["zsh", "fish"] {
            let text = try Program.check([AgentProcess.path(of: "agentctl"), "--generate-completion-script", shell])
            #expect(text.contains("support-bundle"))
        }
    }
}
