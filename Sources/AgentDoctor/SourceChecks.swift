internal import AgentAPI
internal import AgentConfiguration
internal import AgentPlanning
internal import ConfigAgent
internal import ConfigDecode
internal import ConfigFetch
internal import ConfigSnapshot
internal import ConfigTrust
internal import ConfigVerify
internal import Glibc

/// The sources: asked once each, and what comes is checked as the agent would check it.
enum SourceChecks {
    typealias Answers = [SourceName: SourceProbe.Answer]

    static func ask(_ scene: Scene) -> Answers {
        guard let configuration = scene.configuration else { return [:] }
        let specs = configuration.sources.filter { obstacle($0, scene) == nil }.map { SourceSpec($0) }
        return SourceProbe.ask(specs, timeoutMilliseconds: scene.options.timeoutMilliseconds)
    }

    /// Without the client's key or the token there is nothing to be said of a source that asks for it.
    private static func obstacle(_ source: SourceConfiguration, _ scene: Scene) -> String? {
        for reference in scene.references where reference.source == source.name.text && reference.isOutOfReach {
            guard case .credential(let name) = reference.place else { continue }
            return "the credential '\(name)' cannot be read from here"
        }
        let hidden = source.tls.files.first {
            access($0, R_OK) != 0 && errno == EACCES
        }
        return hidden.map { "no permission to read \($0)" }
    }

    static func run(_ scene: Scene, _ answers: Answers) -> [Check] {
        (scene.configuration?.sources ?? []).flatMap { source in
            var checks: [Check] = []
            if source.kind == .file, let check = readable(source, scene.service) { checks.append(check) }
            guard let answer = answers[source.name] else {
                let found = "not asked: \(obstacle(source, scene) ?? "no permission to read its key")"
                let advice = Doctor.isRoot ? "start the agent, and look again: systemctl start agent" : Doctor.asRoot
                return checks + [Check("source.answers", label(source), .skip, found, advice: advice)]
            }
            // A file that its reader cannot read has been told of.
            if !checks.isEmpty, case .failed = answer.result { return checks }
            return checks + judge(source, answer, timeoutMilliseconds: scene.options.timeoutMilliseconds)
        }
    }

    private static func label(_ source: SourceConfiguration) -> String { "source \(source.name)" }

    /// A file that root reads here may be closed to the agent's user.
    private static func readable(_ source: SourceConfiguration, _ service: Identity?) -> Check? {
        guard let service else { return nil }
        let closed: String
        let advice: String
        switch Access.realObstacle(Access.Bits.read, at: source.path, for: service) {
        case .closed:
            closed = "read \(source.path)"
            advice = "chgrp agent \(source.path) && chmod g+r \(source.path)"
        case .closedDirectory(let directory):
            closed = "enter \(directory)"
            advice = "chgrp agent \(directory) && chmod g+x \(directory)"
        case nil, .missing, .hidden, .failed: return nil
        }
        let found = "the agent's user \(service.name) may not \(closed)"
        return Check("source.readable", label(source), .fail, found, advice: advice)
    }

    // MARK: Answers

    static func judge(
        _ source: SourceConfiguration,
        _ answer: SourceProbe.Answer,
        timeoutMilliseconds: Int
    ) -> [Check] {
        let plan = AgentPlan.Source(source)
        let url = plan.fetch.redactedURL
        switch answer.result {
        case .failed(let failure, _):
            return [unanswered(source, plan.fetch, failure, timeoutMilliseconds)]
        case .notModified:
            return [Check("source.answers", label(source), .ok, "\(url) answers")]
        case .document(let document):
            let size = SystemText.size(UInt64(document.body.count))
            let answers = Check("source.answers", label(source), .ok, "\(url) answers with \(size)")
            return [answers, content(source, plan, document)]
        }
    }

    private static func unanswered(
        _ source: SourceConfiguration,
        _ spec: SourceSpec,
        _ failure: StageFailure,
        _ timeoutMilliseconds: Int
    ) -> Check {
        let place = source.unixSocket.map { "\(spec.redactedURL) at \($0)" } ?? spec.redactedURL
        let found = "\(place): \(failure.message)"
        if failure.code == "timeout", timeoutMilliseconds < spec.timeoutMilliseconds {
            let advice =
                "the agent itself waits \(source.timeout); ask with as much patience: "
                + "agentctl doctor --timeout \(spec.timeoutMilliseconds)ms"
            return Check("source.answers", label(source), .warn, found, advice: advice)
        }
        if failure.message.hasPrefix("Resolving timed out") {
            let advice = "this machine's resolver does not answer: see /etc/resolv.conf, and try: getent hosts NAME"
            return Check("source.answers", label(source), .fail, found, advice: advice)
        }
        let general = "see what it says from here: curl -v '\(spec.redactedURL)'"
        return Check("source.answers", label(source), .fail, found, advice: failure.hint ?? general)
    }

    private static func content(
        _ source: SourceConfiguration,
        _ plan: AgentPlan.Source,
        _ document: FetchedDocument
    ) -> Check {
        do {
            let verifier = Verifier(maxBytes: plan.fetch.maxBytes, policy: plan.fetch.policy)
            let now = WallClock.nowNanoseconds / 1_000_000_000
            let verified = try verifier.verify(document, .taking(at: now)) { 0 }.document
            let decoder = DocumentDecoder(limits: plan.limits, format: plan.format, urlPath: source.path)
            let decoded = try decoder.decode(verified) { 0 }
            let format = decoded.format == .json ? "JSON" : "YAML"
            return Check("source.document", label(source), .ok, "a whole document of \(format)")
        } catch let failure as StageFailure {
            let advice = failure.hint ?? "mend the document at its source"
            return Check("source.document", label(source), .fail, failure.message, advice: advice)
        } catch {
            return undecodable(source, plan.fetch, document, "\(error)")
        }
    }

    private static func undecodable(
        _ source: SourceConfiguration,
        _ spec: SourceSpec,
        _ document: FetchedDocument,
        _ reason: String
    ) -> Check {
        guard looksLikeHTML(document) else {
            let advice = "mend the document at its source; what was in use before stays in use"
            return Check("source.document", label(source), .fail, reason, advice: advice)
        }
        return Check(
            "source.document",
            label(source),
            .fail,
            "the source answers HTML, not JSON or YAML: \(reason)",
            advice: "a captive portal, a login page or a proxy's error page is likely; look at the page with "
                + "curl -i '\(spec.redactedURL)', and check 'url' of source '\(source.name)'"
        )
    }

    static func looksLikeHTML(_ document: FetchedDocument) -> Bool {
        if let type = document.contentType, type == "text/html" || type == "application/xhtml+xml" { return true }
        let start = document.body.drop { $0 == 0xEF || $0 == 0xBB || $0 == 0xBF || $0 <= 0x20 }.prefix(16)
        let text = String(decoding: start, as: UTF8.self).lowercased()
        return ["<!doctype html", "<html", "<head", "<body", "<!--"].contains { text.hasPrefix($0) }
    }
}
