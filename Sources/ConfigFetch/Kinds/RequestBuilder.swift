internal import ConfigSnapshot
internal import Curl

/// What all requests of a source have in common, whatever its kind.
enum RequestBuilder {
    /// - Parameters:
    ///   - url: the request's, or where it was redirected to.
    ///   - isOwnOrigin: whether `url` is on the request's own origin: headers, keys and signatures are for nobody else.
    static func request(
        for spec: SourceSpec,
        _ wanted: SourceRequest,
        url: String,
        isOwnOrigin: Bool
    ) -> CurlTransfer.Request {
        // A redirect never leaves HTTPS, and never reaches another kind of thing.
        let isSecure = wanted.url.lowercased().hasPrefix("https:") && spec.unixSocket == nil
        var request = CurlTransfer.Request(url: url, schemes: isSecure ? "https" : "http,https")
        request.unixSocket = spec.unixSocket
        request.timeoutMilliseconds = wanted.timeoutMilliseconds ?? spec.timeoutMilliseconds
        request.connectTimeoutMilliseconds = spec.connectTimeoutMilliseconds
        request.ca = spec.ca.map { CurlTransfer.Request.PEM(path: $0.path, bytes: $0.bytes) }
        request.proxy = spec.proxy.map { proxy in
            CurlTransfer.Request.Proxy(url: proxy.url, user: proxy.user, password: proxy.password)
        }
        request.allowsLinkLocal = spec.allowsLinkLocal
        request.maxBodyBytes = spec.maxAnswerBytes
        request.hasRoom = { MemoryRoom.has($0) }
        request.keepsAllBodies = wanted.readsErrors
        request.discardsBodies = wanted.needsHeadOnly
        request.isStream = wanted.isStream
        // libcurl 7.88 signs all headers that are given to it, in an order of its own where one name begins with another.
        if wanted.signedFor == nil {
            request.headers = [
                ("Accept", "application/json, application/yaml;q=0.9, */*;q=0.1"), ("Accept-Encoding", "gzip"),
            ]
        }
        func add(_ headers: [(name: String, value: String)]) {
            let names = Set(headers.map { $0.name.lowercased() })
            request.headers.removeAll { names.contains($0.name.lowercased()) }
            request.headers += headers
        }
        if case .post(let body, let contentType) = wanted.method {
            request.post = body
            add([("Content-Type", contentType)])
        }
        add(wanted.headers.filter { isOwnOrigin || !isSecret($0.name) })
        if isOwnOrigin {
            add(spec.headers.map { ($0.name, $0.value) })
            request.certificate = spec.certificate.map { CurlTransfer.Request.PEM(path: $0.path, bytes: $0.bytes) }
            request.key = spec.key.map { CurlTransfer.Request.PEM(path: $0.path, bytes: $0.bytes) }
            // Another origin has keys of its own; without HTTPS there are none.
            if isSecure { request.pins = spec.pins }
            if let service = wanted.signedFor, let keys = spec.auth.awsKeys {
                request.signature = CurlTransfer.Request.Signature(
                    scope: "aws:amz:\(spec.region ?? ""):\(service)",
                    keyID: keys.id,
                    secret: keys.secret
                )
                if let token = keys.sessionToken { add([("x-amz-security-token", token)]) }
            }
        }
        return request
    }

    /// Of the headers that a kind of source sends, those that are for the source alone.
    private static func isSecret(_ name: String) -> Bool {
        !["accept", "accept-encoding", "content-type", "if-none-match", "if-modified-since", "prefer", "cache-control"]
            .contains(name.lowercased())
    }

    /// Scheme, host and port: what a redirect is compared by.
    static func origin(of url: String) -> String { URLParts(url).origin }
}
