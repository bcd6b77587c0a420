internal import AgentAPI
internal import AgentDoctor
internal import AgentctlKit
internal import ArgumentParser

struct SupportBundleCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "support-bundle",
        abstract: "Gather what somebody needs to help into one archive.",
        discussion: """
            The archive holds what doctor found, the agent's answers, its configuration without secrets, its records, \
            its units and versions; never the values that services read. Look through it before you send it. An \
            existing file is never replaced.
            """
    )

    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: ConfigurationOption

    @Argument(help: "The file to make; by default agent-support-HOST-TIME.tar.gz in this directory.")
    var file: String?

    func perform() throws -> ExitStatus {
        let doctor = place.doctor(options)
        let report = Doctor.examine(doctor)
        let text = DoctorText.render(report, style: TextStyle())
        let bundle = SupportBundle.collect(doctor, doctor: text, report: report)
        let path = file ?? "./\(bundle.fileName)"
        do throws(SupportBundle.Failure) {
            try bundle.write(to: path)
        } catch {
            throw Problem(error.message, remedy: error.remedy, exit: .failure)
        }
        switch options.output {
        case .json:
            let answer = Answer(file: path, entries: bundle.entries.map(\.name))
            try Terminal.print(json: WireJSON.encode(answer))
        case .text:
            let contents = bundle.entries.map { (name: $0.name, what: $0.what, note: $0.note) }
            try Terminal.print(BundleText.render(path: path, contents: contents, style: Terminal.style))
        }
        return .success
    }

    private struct Answer: Encodable {
        let file: String
        let entries: [String]
    }
}
