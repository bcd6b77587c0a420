internal import ConfigSnapshot

/// A profile of AWS AppConfig, by its data plane: a session gives a token, each answer the token for the next request.
///
/// Source: https://docs.aws.amazon.com/appconfig/2019-10-09/APIReference/API_Operations_AWS_AppConfig_Data.html. A token is
/// good for one request and a day; an empty body says that nothing has changed since the answer that gave the token.
final class AppConfigSource: SourceClient {
    private enum Step {
        static let configuration = 0
        static let session = 1
        /// The token just began; if it is refused, another one would be too.
        static let firstConfiguration = 2
    }

    private let spec: SourceSpec
    private let endpoint: String
    /// Application, environment, profile.
    private let identifiers: [String]
    private var token: String?
    /// Stands for what this session has given last. The service says "nothing new" about that, accepted or not.
    private var lastGiven: String?
    /// Tells what was given apart, also from what an earlier run of the agent was given.
    private var count = UInt64.random(in: 0...UInt64.max)
    private(set) var rest: Rest?

    init(_ spec: SourceSpec) {
        self.spec = spec
        let parts = URLParts(spec.url)
        // The first one stands where a host does, and unlike a host its case matters.
        let text = spec.url.prefix { $0 != "?" && $0 != "#" }.dropFirst(parts.schemeAndSlashes.count)
        identifiers = text.split(separator: "/").map { PercentEncoding.decode($0, allowsZero: false) ?? String($0) }
        endpoint = spec.endpoint ?? "https://appconfigdata.\(spec.region ?? "us-east-1").amazonaws.com"
    }

    static func host(of spec: SourceSpec) -> String { spec.awsHost }

    func ask(_ validators: Validators) -> SourceRequest {
        if token != nil, let etag = validators.etag, etag == lastGiven { return configuration(Step.configuration) }
        return session
    }

    private var session: SourceRequest {
        var request = SourceRequest("\(endpoint)/configurationsessions")
        let seconds = Int(clamping: max(15, spec.poll.lowerBound / 1_000_000_000))
        func identifier(_ index: Int) -> String { index < identifiers.count ? identifiers[index] : "" }
        let body = Session(
            application: identifier(0),
            environment: identifier(1),
            profile: identifier(2),
            pollInterval: min(seconds, 86_400)
        )
        request.method = .post(APIJSON.encode(body), contentType: "application/json")
        request.signedFor = "appconfig"
        request.readsErrors = true
        request.step = Step.session
        return request
    }

    private func configuration(_ step: Int) -> SourceRequest {
        var request = SourceRequest(
            "\(endpoint)/configuration?configuration_token=\(PercentEncoding.encode(token ?? ""))"
        )
        // Whatever becomes of the request, its token is used up.
        token = nil
        request.signedFor = "appconfig"
        request.readsErrors = true
        request.step = step
        return request
    }

    func understand(_ answer: Answer, to request: SourceRequest) -> Understanding {
        do throws(StageFailure) {
            if request.step == Step.session {
                guard answer.status == 201 || answer.status == 200 else { return refused(answer) }
                token = try APIJSON.decode(Started.self, from: try answer.body()).token
                lastGiven = nil
                return .ask(configuration(Step.firstConfiguration))
            }
            guard answer.status == 200 else {
                // The token was too old, or used already.
                return answer.status == 400 && request.step == Step.configuration ? .ask(session) : refused(answer)
            }
            return try understandConfiguration(answer, isFirst: request.step == Step.firstConfiguration)
        } catch {
            return .failed(error)
        }
    }

    private func understandConfiguration(_ answer: Answer, isFirst: Bool) throws(StageFailure) -> Understanding {
        let body = try answer.body()
        token = answer.header("Next-Poll-Configuration-Token")
        rest = answer.header("Next-Poll-Interval-In-Seconds").flatMap { UInt32($0) }.map {
            Rest(nanoseconds: UInt64($0) * 1_000_000_000, isBinding: true)
        }
        guard !body.isEmpty else {
            guard isFirst else { return .notModified }
            throw StageFailure(
                .fetch,
                "not_found",
                "AppConfig has no configuration deployed in this environment",
                hint: "deploy one; an empty configuration is never taken over"
            )
        }
        count &+= 1
        lastGiven = "appconfig-\(count)-\(answer.header("Version-Label") ?? "")"
        return .document(body: body, Validators(etag: lastGiven), contentType: answer.contentType)
    }

    private func refused(_ answer: Answer) -> Understanding {
        guard let body = try? answer.body(), let refusal = try? APIJSON.decode(Refusal.self, from: body),
            let words = KnownWords.aws.recognise(refusal.type) ?? KnownWords.aws.recognise(refusal.message)
        else { return answer.statusFailure }
        return .failed(
            StageFailure(
                .fetch,
                "http_status",
                "AppConfig refuses (HTTP status \(answer.status)): \(words)",
                hint: "check 'auth', 'region' and the names in 'url' of source '\(spec.name)'"
            ),
            retryAfterNanoseconds: answer.retryAfter
        )
    }

    private struct Session: Encodable {
        let application: String
        let environment: String
        let profile: String
        let pollInterval: Int

        enum CodingKeys: String, CodingKey {
            case application = "ApplicationIdentifier"
            case environment = "EnvironmentIdentifier"
            case profile = "ConfigurationProfileIdentifier"
            case pollInterval = "RequiredMinimumPollIntervalInSeconds"
        }
    }

    private struct Started: Decodable {
        let token: String

        enum CodingKeys: String, CodingKey { case token = "InitialConfigurationToken" }
    }

    private struct Refusal: Decodable {
        let message: String?
        let type: String?

        enum CodingKeys: String, CodingKey {
            case message = "Message"
            case type = "__type"
        }
    }
}
