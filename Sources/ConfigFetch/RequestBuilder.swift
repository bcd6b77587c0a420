internal import ConfigSnapshot
internal import Curl

/// Turns a source into a request.
enum RequestBuilder {
    /// - Parameters:
    ///   - url: the source's, or where it redirected to.
    ///   - isOwnOrigin: whether `url` is on the source's own origin: headers and keys are for nobody else.
    static func request(
        for spec: SourceSpec,
        url: String,
        isOwnOrigin: Bool,
        validators: Validators
    ) -> CurlTransfer.Request {
        var request = CurlTransfer.Request(url: url, schemes: schemes(of: spec))
        request.unixSocket = spec.unixSocket
        request.timeoutMilliseconds = spec.timeoutMilliseconds
        request.connectTimeoutMilliseconds = spec.connectTimeoutMilliseconds
        request.caFile = spec.caFile
        request.allowsLinkLocal = spec.allowsLinkLocal
        request.maxBodyBytes = spec.maxBytes
        request.hasRoom = { MemoryRoom.has($0) }
        request.headers = [
            ("Accept", "application/json, application/yaml;q=0.9, */*;q=0.1"), ("Accept-Encoding", "gzip"),
        ]
        if let etag = validators.etag {
            request.headers.append(("If-None-Match", etag))
        } else if let lastModified = validators.lastModified {
            request.headers.append(("If-Modified-Since", lastModified))
        }
        if isOwnOrigin {
            let configured = Set(spec.headers.map { $0.name.lowercased() })
            request.headers.removeAll { configured.contains($0.name.lowercased()) }
            request.headers += spec.headers.map { ($0.name, $0.value) }
            request.certificateFile = spec.certificateFile
            request.keyFile = spec.keyFile
        }
        return request
    }

    /// A redirect never leaves HTTPS, and never reaches another kind of thing.
    private static func schemes(of spec: SourceSpec) -> String {
        switch spec.kind {
        case .https: "https"
        case .http, .unix: "http,https"
        // Files are not libcurl's business.
        case .file: ""
        }
    }

    /// Scheme, host and port: what a redirect is compared by.
    static func origin(of url: String) -> String { URLParts(url).origin }
}
