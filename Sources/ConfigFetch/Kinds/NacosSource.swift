internal import ConfigSnapshot

/// A configuration of Nacos by its first HTTP API; watched by the listener, a long poll that compares MD5 digests.
///
/// Source: https://nacos.io/en/docs/open-api/. The URL is `nacos://host:8848/group/data-id?namespace=id`.
final class NacosSource: SourceClient {
    private enum Step {
        static let configuration = 0
        static let logIn = 1
        static let configurationAgain = 2
    }

    private let spec: SourceSpec
    private let url: KeyURL
    private let group: String
    private let dataID: String
    private var token: String?
    /// Of what came last, in hexadecimal digits.
    private var digest: String?
    /// Whether a document has come: until then nothing is to be said of its digest.
    private var hasAnswered = false

    init(_ spec: SourceSpec) {
        self.spec = spec
        url = KeyURL(spec.url)
        let parts = url.key.split(separator: "/", maxSplits: 1).map(String.init)
        group = parts.count > 1 ? parts[0] : "DEFAULT_GROUP"
        dataID = parts.last ?? ""
    }

    private var namespace: String { url.query["namespace"] ?? "" }

    private func authorised(_ url: String) -> SourceRequest {
        var request = SourceRequest(url)
        if let token = token ?? spec.auth.token { request.headers = [("Authorization", "Bearer \(token)")] }
        return request
    }

    // MARK: The document

    func ask(_ validators: Validators) -> SourceRequest {
        spec.auth.user != nil && token == nil ? logIn : configuration(Step.configuration)
    }

    private var logIn: SourceRequest {
        var request = SourceRequest("\(url.endpoint)/nacos/v1/auth/login")
        let form = Self.form([("username", spec.auth.user ?? ""), ("password", spec.auth.password ?? "")])
        request.method = .post(Array(form.utf8), contentType: "application/x-www-form-urlencoded")
        request.step = Step.logIn
        return request
    }

    private func configuration(_ step: Int) -> SourceRequest {
        var parameters = [("dataId", dataID), ("group", group)]
        if !namespace.isEmpty { parameters.append(("tenant", namespace)) }
        var request = authorised("\(url.endpoint)/nacos/v1/cs/configs?\(Self.form(parameters))")
        request.step = step
        return request
    }

    private static func form(_ pairs: [(String, String)]) -> String {
        pairs.map { "\($0)=\(PercentEncoding.encode($1))" }.joined(separator: "&")
    }

    func understand(_ answer: Answer, to request: SourceRequest) -> Understanding {
        switch (request.step, answer.status) {
        case (Step.logIn, 200):
            do throws(StageFailure) {
                token = try APIJSON.decode(LoggedIn.self, from: try answer.body()).accessToken
                return .ask(configuration(Step.configurationAgain))
            } catch { return .failed(error) }
        case (_, 200):
            digest = answer.header("Content-MD5")
            hasAnswered = true
            // Nothing can be asked with it, but it tells which of two mirrors is behind.
            let said = Validators(lastModified: answer.header("Last-Modified"), areYoung: answer.isYoung)
            return answer.document(said, contentType: nil)
        case (Step.configuration, 401), (Step.configuration, 403):
            // Tokens live for some hours.
            guard spec.auth.user != nil, token != nil else { return answer.statusFailure }
            token = nil
            return .ask(logIn)
        case (_, 404):
            // That there is nothing is known, too: the listener waits for something.
            digest = ""
            return answer.statusFailure
        default: return answer.statusFailure
        }
    }

    // MARK: The watch

    var unwatchable: StageFailure? {
        guard hasAnswered, digest == nil else { return nil }
        return StageFailure(
            .fetch,
            "not_watchable",
            "Nacos's answers have no Content-MD5 to wait with",
            hint: "see whether something in between takes headers away; until then the source is polled"
        )
    }

    func watch() -> SourceRequest? {
        guard let digest else { return nil }
        let wait = max(1, min(spec.watchWait ?? 30_000_000_000, 60_000_000_000) / 1_000_000)
        // Parted by bytes that stand in no name: 2 between fields, 1 at the end.
        let fields = [dataID, group, digest] + (namespace.isEmpty ? [] : [namespace])
        let listening = fields.joined(separator: "\u{2}") + "\u{1}"
        var request = authorised("\(url.endpoint)/nacos/v1/cs/configs/listener")
        request.method = .post(
            Array(Self.form([("Listening-Configs", listening)]).utf8),
            contentType: "application/x-www-form-urlencoded"
        )
        request.headers.append(("Long-Pulling-Timeout", String(wait)))
        request.timeoutMilliseconds = spec.watchTimeoutMilliseconds
        return request
    }

    func heard(_ answer: Answer) -> News {
        guard answer.status == 200 else {
            token = nil
            guard case .failed(let failure, _) = answer.statusFailure else { return .nothing }
            return .refused(failure)
        }
        do throws(StageFailure) {
            return try answer.body().contains { $0 > 0x20 } ? .changed : .nothing
        } catch { return .refused(error) }
    }

    private struct LoggedIn: Decodable { let accessToken: String }
}
