internal import ConfigSnapshot
internal import Curl
internal import LockLadder

/// What came back for a request, by HTTP's rules and ours.
struct Answer {
    private let transfer: CurlTransfer
    private let spec: SourceSpec
    /// The answer's time as a whole, in nanoseconds.
    let took: UInt64

    init(_ transfer: CurlTransfer, of spec: SourceSpec) {
        self.transfer = transfer
        self.spec = spec
        took = transfer.timings.total
    }

    var status: Int { transfer.status }

    func header(_ name: String) -> String? { transfer.header(name) }

    /// The moment that a header names, in seconds since 1970.
    func date(_ name: String) -> Int64? { transfer.date(name) }

    /// The media type without parameters, in lower case.
    var contentType: String? {
        transfer.header("Content-Type")?.prefix { $0 != ";" }.lowercased().filter { !$0.isWhitespace }
    }

    /// The body, decompressed, whole and checked for being so.
    func body() throws(StageFailure) -> [UInt8] {
        // The body is copied once, out of libcurl's hands.
        guard MemoryRoom.has(transfer.bodyLength) else { throw .noMemory(.fetch, bytes: transfer.bodyLength) }
        let body = transfer.takeBody()
        guard transfer.isFramed || Self.looksLikeWholeJSON(body) else {
            throw StageFailure(
                .fetch,
                "unframed",
                "the response does not say where it ends, so a part could not be told from the whole",
                hint: "let the origin send Content-Length or chunked encoding"
            )
        }
        return body
    }

    /// The body as the document.
    func document(_ validators: Validators = .none, contentType: String? = nil) -> Understanding {
        do throws(StageFailure) {
            return .document(body: try body(), validators, contentType: contentType)
        } catch {
            return .failed(error)
        }
    }

    /// By the origin's own clock: changed within the two seconds before it answered.
    var isYoung: Bool {
        guard let changed = transfer.date("Last-Modified"), let answered = transfer.date("Date") else { return false }
        return answered - changed < 2
    }

    /// JSON shows itself where it ends; decoding tells for sure. Anything else that was cut off may still look whole.
    private static func looksLikeWholeJSON(_ body: [UInt8]) -> Bool {
        func isText(_ byte: UInt8) -> Bool { !" \t\r\n".utf8.contains(byte) }
        return body.first(where: isText) == UInt8(ascii: "{") && body.last(where: isText) == UInt8(ascii: "}")
    }

    /// How long the origin wants to be left alone, in nanoseconds: by a number of seconds, or a moment on its own clock.
    /// Junk in the header reads as no header.
    var retryAfter: UInt64? {
        guard let text = transfer.header("Retry-After") else { return nil }
        if let seconds = UInt64(text) {
            let (nanoseconds, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
            return overflow ? .max : nanoseconds
        }
        guard text.hasSuffix("GMT"), let until = CurlTransfer.date(text), let now = transfer.date("Date"), until > now
        else { return nil }
        let (nanoseconds, overflow) = UInt64(until - now).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : nanoseconds
    }

    /// What says that the host has too much to do, or is not well; `nil` where nothing does.
    var overload: String? { status == 429 || status >= 500 ? "HTTP status \(status)" : nil }

    /// The status as the failure that it is.
    var statusFailure: Understanding {
        let hint: String? =
            switch status {
            case 401, 403, 407:
                "check the credentials of source '\(spec.name)': 'auth' or 'headers'"
                    + (spec.proxy == nil ? "" : ", or those of its 'proxy'")
            case 404, 410: "check the path in 'url' of source '\(spec.name)'"
            case 204: "the origin has an empty document here; if that is meant, remove the source"
            case 206: "the origin sends a part that was not asked for"
            default: nil
            }
        let failure = StageFailure(.fetch, "http_status", "the origin answers HTTP status \(status)", hint: hint)
        return .failed(failure, retryAfterNanoseconds: retryAfter)
    }

    /// Where the answer sends to; `nil` where it does not.
    var redirect: String? { [301, 302, 303, 307, 308].contains(status) ? transfer.redirectURL : nil }

    // MARK: Failures of the transfer

    /// - Parameter failure: as libcurl put it.
    /// - Parameter redirectsLeft: of those that the source may make; `nil` where none are followed. Where it has sent us
    ///   somewhere else, what that is called is of its own making, and is not repeated.
    static func stageFailure(
        _ failure: CurlTransfer.Failure,
        of spec: SourceSpec,
        redirectsLeft: Int? = nil
    ) -> StageFailure {
        let isRedirected = redirectsLeft.map { $0 < spec.maxRedirects } ?? false
        let words = isRedirected ? "the request failed where the origin redirects to" : failure.message
        return StageFailure(.fetch, code(of: failure.kind), words, hint: hint(for: failure, spec))
    }

    private static let codes: [CurlTransfer.Failure.Kind: String] = [
        .resolve: "resolve", .connect: "connect", .timeout: "timeout", .tls: "tls", .certificate: "certificate",
        .bodyTooLarge: "too_large", .headersTooLarge: "headers_too_large", .truncated: "truncated",
        .encoding: "encoding", .addressRefused: "address_refused", .emptyReply: "empty_reply",
        .badResponse: "bad_response", .memory: StageFailure.noMemoryCode, .other: "other",
    ]

    private static func code(of kind: CurlTransfer.Failure.Kind) -> String { codes[kind] ?? "other" }

    private static func hint(for failure: CurlTransfer.Failure, _ spec: SourceSpec) -> String? {
        let source = spec.name
        if let proxy = spec.proxy, [.resolve, .connect, .tls, .badResponse].contains(failure.kind) {
            return "check the proxy \(proxy.url), by which source '\(source)' is asked, its credentials, and the origin"
        }
        return switch failure.kind {
        case .resolve: "check the host name and this machine's resolver"
        case .connect: "check that the origin runs and that nothing between blocks the port"
        case .timeout: "raise 'timeout' of source '\(source)' if the origin is known to be slow"
        case .tls: "check 'tls' of source '\(source)'"
        case .certificate where !spec.pins.isEmpty:
            "check the origin's certificate and key, 'tls.ca' of '\(source)', and whether 'tls.pin' has the key's digest"
        case .certificate: "check the origin's certificate, this machine's clock and 'tls.ca' of '\(source)'"
        case .memory: StageFailure.noMemoryHint
        case .bodyTooLarge: "raise 'guard.max_bytes' of source '\(source)' if that is meant"
        case .addressRefused: "set 'allow_link_local: true' in source '\(source)' if that is meant"
        default: nil
        }
    }
}
