internal import ConfigSnapshot

/// An object of S3 or of a server that speaks like it; requests are signed. The ETag is no digest of the content, so it is
/// only sent back.
final class S3Source: SourceClient {
    private let spec: SourceSpec
    private let location: String

    /// `s3://bucket/key`; `endpoint` names another server than Amazon's, where the bucket is the first part of the path.
    init(_ spec: SourceSpec) {
        self.spec = spec
        let parts = URLParts(spec.url)
        let bucket = parts.authorityWithoutUser
        // Signed is what is sent: every byte but the unreserved ones is encoded, each part of the path by itself.
        let key = parts.path.split(separator: "/", omittingEmptySubsequences: false).map {
            PercentEncoding.encode(PercentEncoding.decode($0, allowsZero: false) ?? String($0))
        }
        .joined(separator: "/")
        if let endpoint = spec.endpoint {
            location = "\(endpoint)/\(bucket)\(key)"
        } else {
            location = "https://\(bucket).s3.\(spec.region ?? "us-east-1").amazonaws.com\(key)"
        }
    }

    static func host(of spec: SourceSpec) -> String { spec.awsHost }

    func ask(_ validators: Validators) -> SourceRequest {
        var request = SourceRequest(location)
        if let etag = validators.etag { request.headers.append(("If-None-Match", etag)) }
        request.signedFor = "s3"
        request.readsErrors = true
        return request
    }

    func understand(_ answer: Answer, to request: SourceRequest) -> Understanding {
        switch answer.status {
        case 200:
            return answer.document(
                Validators(etag: answer.header("ETag"), lastModified: nil, areYoung: false),
                contentType: answer.contentType
            )
        case 304 where request.headers.contains(where: { $0.name == "If-None-Match" }): return .notModified
        case 400, 403:
            // S3 says in XML what it dislikes; the code is a word without secrets.
            guard let code = Self.code(in: (try? answer.body()) ?? []) else { return answer.statusFailure }
            return .failed(
                StageFailure(
                    .fetch,
                    "http_status",
                    "S3 refuses (HTTP status \(answer.status)): \(code)",
                    hint: "check 'auth' and 'region' of source '\(spec.name)', and this machine's clock"
                ),
                retryAfterNanoseconds: answer.retryAfter
            )
        default: return answer.statusFailure
        }
    }

    private static func code(in body: [UInt8]) -> String? {
        let text = String(decoding: body.prefix(4_096), as: UTF8.self)
        guard let start = text.firstRange(of: "<Code>"), let end = text[start.upperBound...].firstRange(of: "</Code>")
        else {
            return nil
        }
        let code = text[start.upperBound..<end.lowerBound]
        return code.count <= 64 && code.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) }) ? String(code) : nil
    }
}
