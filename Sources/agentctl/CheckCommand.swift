internal import AgentAPI
internal import AgentConfiguration
internal import AgentDoctor
internal import AgentctlKit
internal import ArgumentParser
internal import Glibc

struct CheckCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Tell what would become of a document, without publishing it.",
        discussion: """
            Tries the file as if the source had said it: size, signature (FILE.sig, where the source requires one), content, \
            rules. Shows in what the source's values would change; that needs the right to read the agent's stored \
            copies. Needs no running agent. Exits with 1 when the document would be refused.
            """
    )

    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: ConfigurationOption

    @Option(help: ArgumentHelp("As which source's document.", valueName: "name"))
    var source: String

    @Argument(help: "The document.", completion: .file())
    var file: String

    func perform() throws -> ExitStatus {
        let configuration: AgentConfiguration
        do throws(ConfigurationErrors) {
            configuration = try AgentConfiguration.load(path: place.config, credentials: .forChecking)
        } catch {
            if geteuid() != 0, error.list.allSatisfy(\.isForLackOfRights) {
                throw Problem(
                    "no permission to read all that the configuration needs",
                    remedy: "run agentctl check as root",
                    details: error.list.map { "\($0.file): \($0.key): \($0.what)" },
                    exit: .unknown
                )
            }
            throw Problem("the configuration is refused", details: error.list.map(\.description), exit: .failure)
        }
        let report: TrialReport
        do throws(FileTrial.Failure) {
            report = try FileTrial.run(file, as: source, of: configuration)
        } catch {
            throw Problem(error.message, remedy: error.hint, exit: .failure)
        }
        switch options.output {
        case .json: try Terminal.print(json: WireJSON.encode(report))
        case .text: try Terminal.print(TrialText.render(report, style: Terminal.style))
        }
        return TrialText.exitStatus(report)
    }
}
