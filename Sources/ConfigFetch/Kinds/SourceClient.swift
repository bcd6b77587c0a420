internal import ConfigSnapshot
internal import Curl

/// One kind of source: what it is asked, what its answers mean, and how it tells of changes.
///
/// A conversation begins with ``ask(_:)``; each answer goes through ``understand(_:to:)`` until that has come to a result.
/// What all kinds have in common, ``RequestBuilder`` and the loop see to: TLS, limits, time-outs, redirects, the operator's
/// headers. An instance belongs to one source under one plan, and to the fetch thread.
protocol SourceClient: AnyObject {
    init(_ spec: SourceSpec)

    /// Whom such a source is asked of: requests to the same host share what may be under way to it, and its manners.
    static func host(of spec: SourceSpec) -> String

    /// The first request of a conversation about the document.
    ///
    /// - Parameter validators: of the document in use; none where the document itself is wanted.
    func ask(_ validators: Validators) -> SourceRequest

    func understand(_ answer: Answer, to request: SourceRequest) -> Understanding

    /// The request that is answered once the source has something newer than what it said last; `nil` where the source
    /// tells nobody, or where it has not been asked yet and so nothing is known that could change.
    func watch() -> SourceRequest?

    /// A piece of the answer to a watch that goes on for ever.
    func heard(_ piece: [UInt8]) -> News

    /// The document, where the news of a watch has brought it along: given once, in place of a request.
    func atHand() -> [UInt8]?

    /// A watch was answered.
    func heard(_ answer: Answer) -> News

    /// Why there is nothing to watch by, though a watch is wanted.
    var unwatchable: StageFailure? { get }

    /// Whether the watch that is open waits for something that will never come.
    var wantsNewWatch: Bool { get }

    /// What the source has said last about how soon it wants to be asked again.
    var rest: Rest? { get }
}

extension SourceClient {
    static func host(of spec: SourceSpec) -> String { KeyURL(spec.url).endpoint }
    func watch() -> SourceRequest? { nil }
    func heard(_ piece: [UInt8]) -> News { .nothing }
    func heard(_ answer: Answer) -> News { .nothing }
    func atHand() -> [UInt8]? { nil }
    var wantsNewWatch: Bool { false }
    var unwatchable: StageFailure? { nil }
    var rest: Rest? { nil }
}

/// How long a source wants to be left alone.
struct Rest: Equatable {
    var nanoseconds: UInt64
    /// Whether it refuses to answer sooner. Else it is a hint, and the configured bounds stand above it.
    var isBinding = false
}

/// What a kind of source wants to have sent.
struct SourceRequest {
    enum Method {
        case get
        case post([UInt8], contentType: String)
    }

    var url: String
    var method = Method.get
    var headers: [(name: String, value: String)] = []
    /// Other than the source's own limit.
    var timeoutMilliseconds: Int?
    /// The service that an AWS signature is for; `nil` for none.
    var signedFor: String?
    /// Whether what is said with another status than 200 matters too.
    var readsErrors = false
    /// Whether nothing but status and headers of the answer matters.
    var needsHeadOnly = false
    /// Whether the answer goes on for ever and is heard piece by piece.
    var isStream = false
    /// Where in a conversation of several requests it stands; the kind's own business.
    var step = 0
    var part = Part.whole

    /// What of a source is asked for.
    enum Part {
        case whole
        /// The signature that lies beside the document.
        case signature
        /// The document that belongs to a signature, whose validators stand for both.
        case document(signature: [UInt8], Validators)
    }

    /// The signature that has come before what is asked for now.
    var signature: [UInt8]? { if case .document(let signature, _) = part { signature } else { nil } }

    init(_ url: String) { self.url = url }
}

/// What an answer came to.
enum Understanding {
    /// The conversation goes on.
    case ask(SourceRequest)
    case document(body: [UInt8], Validators, contentType: String?)
    /// What the validators stand for is still the newest.
    case notModified
    case failed(StageFailure, retryAfterNanoseconds: UInt64?)

    static func failed(_ failure: StageFailure) -> Understanding { .failed(failure, retryAfterNanoseconds: nil) }
}

/// What a watch has heard.
enum News {
    /// Nothing new: to be watched further.
    case nothing
    /// There is something to be fetched. The watch goes on if it is a stream, else it begins again after the fetch.
    case changed
    /// This source cannot be watched, or not now; why.
    case refused(StageFailure)
}

extension StageFailure {
    /// The source has ended a watch that stood: what it would have told may have happened meanwhile.
    static let watchCanceledCode = "watch_canceled"
}

extension SourceKind {
    /// Whom sources of this kind are asked through; `nil` for files, which are read and not asked. All that the loop knows
    /// of a kind.
    var client: (any SourceClient.Type)? {
        switch self {
        case .http, .https: HTTPSource.self
        case .etcd: EtcdSource.self
        case .consul: ConsulSource.self
        case .s3: S3Source.self
        case .appconfig: AppConfigSource.self
        case .nacos: NacosSource.self
        case .file: nil
        }
    }
}

extension SourceSpec {
    /// A client for this source; `nil` for files.
    func makeClient() -> (any SourceClient)? {
        kind.client.map { hasSignatureBeside ? BesideSignature(self, of: $0) : $0.init(self) }
    }

    /// The server that stands for Amazon's, or Amazon's own.
    var awsHost: String { endpoint ?? "\(kind.rawValue).\(region ?? "")" }
}
