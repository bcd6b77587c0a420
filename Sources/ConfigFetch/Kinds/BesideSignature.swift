internal import ConfigSnapshot
internal import ConfigTrust

/// A source whose signatures lie beside its documents, under the same name with `.sig` behind it.
///
/// The signature is what is asked for conditionally and watched: it names its document by digest, so while it is the same
/// the document is, and when it is renewed for the same document that is seen too.
final class BesideSignature: SourceClient {
    private let signature: any SourceClient
    private let document: any SourceClient

    /// - Parameter kind: whose documents they are.
    init(_ spec: SourceSpec, of kind: any SourceClient.Type) {
        document = kind.init(spec)
        signature = kind.init(spec.signatureBeside)
    }

    convenience init(_ spec: SourceSpec) { self.init(spec, of: HTTPSource.self) }

    func ask(_ validators: Validators) -> SourceRequest { marked(signature.ask(validators)) }

    /// As a request of the signature's.
    private func marked(_ request: SourceRequest) -> SourceRequest {
        var request = request
        request.part = .signature
        return request
    }

    func understand(_ answer: Answer, to request: SourceRequest) -> Understanding {
        switch request.part {
        case .whole:
            return document.understand(answer, to: request)
        case .signature:
            switch signature.understand(answer, to: request) {
            case .ask(let next): return .ask(marked(next))
            case .document(let body, let validators, _): return askForDocument(body, validators)
            case .notModified: return .notModified
            case .failed(let failure, let retryAfter):
                return .failed(
                    answer.status == 404 ? Self.missing(failure) : failure,
                    retryAfterNanoseconds: retryAfter
                )
            }
        case .document(_, let validators):
            switch document.understand(answer, to: request) {
            case .ask(var next):
                next.part = request.part
                return .ask(next)
            case .document(let body, _, let contentType):
                return .document(body: body, validators, contentType: contentType)
            case let other: return other
            }
        }
    }

    private func askForDocument(_ signature: [UInt8], _ validators: Validators) -> Understanding {
        guard signature.count <= SignatureFile.largest else {
            return .failed(
                StageFailure(
                    .fetch,
                    "bad_signature",
                    "the signature has \(signature.count) bytes, more than the limit of \(SignatureFile.largest)",
                    hint: "sign the document again, with 'agentctl sign'"
                )
            )
        }
        var request = document.ask(.none)
        request.part = .document(signature: signature, validators)
        return .ask(request)
    }

    private static func missing(_ failure: StageFailure) -> StageFailure {
        StageFailure(
            .fetch,
            "unsigned",
            "there is no signature beside the document: \(failure.message)",
            hint:
                "sign it with 'agentctl sign' and publish both; if they were there, somebody has taken the signature away"
        )
    }

    func watch() -> SourceRequest? { signature.watch() }
    func heard(_ piece: [UInt8]) -> News { signature.heard(piece) }
    func heard(_ answer: Answer) -> News { signature.heard(answer) }
    var wantsNewWatch: Bool { signature.wantsNewWatch }
    var unwatchable: StageFailure? { signature.unwatchable }
    var rest: Rest? { signature.rest }
}

extension SourceSpec {
    private static let signatureSuffix = ".sig"

    /// Itself as the source of the signature that lies beside its document.
    var signatureBeside: SourceSpec {
        var beside = self
        let end = url.firstIndex { $0 == "?" || $0 == "#" } ?? url.endIndex
        beside.url = url[..<end] + Self.signatureSuffix + url[end...]
        beside.hasSignatureBeside = false
        return beside
    }
}
