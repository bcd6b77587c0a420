public import AgentAPI
public import AgentConfiguration
internal import AgentPlanning
internal import ConfigAgent
internal import ConfigFetch
internal import ConfigSnapshot
internal import Glibc
internal import LockLadder

/// What would become of a file if a source said it.
public enum FileTrial {
    /// Why nothing was tried.
    public struct Failure: Error, Sendable {
        public var message: String
        public var hint: String?
    }

    private static let longest: UInt64 = 60_000_000_000

    /// Tries `path` as the document of a source: size, signature where there is one beside it or in it, content, rules.
    ///
    /// - Parameters:
    ///   - path: of the document.
    ///   - name: of the source.
    public static func run(
        _ path: String,
        as name: String,
        of configuration: AgentConfiguration
    ) throws(Failure) -> TrialReport {
        var plan = AgentPlan(configuration)
        guard var source = plan.sources.first(where: { $0.fetch.name.text == name }) else {
            let names = plan.sources.map(\.fetch.name.text)
            let nearest = NearestKeys.nearest(to: name, among: names, limit: 1).first.map { "did you mean '\($0)'?" }
            throw Failure(
                message: "there is no source '\(name)'",
                hint: nearest ?? "the sources are: \(names.joined(separator: ", "))"
            )
        }
        let whole = path.hasPrefix("/") ? path : "\(currentDirectory)/\(path)"
        guard access(whole, R_OK) == 0 else {
            throw Failure(message: "cannot read \(path): \(String(cString: strerror(errno)))", hint: nil)
        }
        var notes: [String] = []
        let configured = source.fetch
        var file = SourceSpec(
            name: configured.name,
            kind: .file,
            url: "file://"
                + whole.split(separator: "/", omittingEmptySubsequences: false).map {
                    PercentEncoding.encode(String($0))
                }.joined(separator: "/"),
            poll: longest...longest
        )
        file.maxBytes = configured.maxBytes
        file.isWatched = false
        file.policy = configured.policy
        file.hasSignatureBeside = configured.hasSignatureBeside
        if configured.hasSignatureBeside, access(whole + ".sig", F_OK) != 0 {
            file.hasSignatureBeside = false
            file.policy = nil
            notes.append("the signature was not checked: there is no \(path).sig")
        }
        source.fetch = file
        source.isRequired = true
        plan.sources = [source]
        do throws(DryRun.Failure) {
            let deadline = MonotonicTime.now.advanced(byNanoseconds: max(longest, plan.patience))
            return TrialReport(try DryRun.run(plan, until: deadline), notes: notes)
        } catch {
            throw Failure(message: error.description, hint: nil)
        }
    }

    private static var currentDirectory: String {
        guard let path = getcwd(nil, 0) else { return "." }
        defer { free(path) }
        return String(cString: path)
    }
}
