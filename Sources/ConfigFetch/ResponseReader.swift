internal import ConfigSnapshot
internal import Curl
internal import LockLadder

/// Understands what came back, by HTTP's rules and ours.
enum ResponseReader {
    enum Reading {
        case result(FetchResult)
        case redirect(to: String)
    }

    static func read(
        _ transfer: CurlTransfer,
        failure: CurlTransfer.Failure?,
        of spec: SourceSpec,
        wasConditional: Bool,
        trace: Trace
    ) -> Reading {
        if let failure { return .result(.failed(stageFailure(failure, of: spec), retryAfterNanoseconds: nil)) }
        switch transfer.status {
        case 200:
            let validators = Validators(
                etag: transfer.header("ETag").flatMap { $0.isEmpty ? nil : $0 },
                lastModified: transfer.header("Last-Modified"),
                areYoung: isYoung(transfer)
            )
            return .result(document(transfer, of: spec, validators: validators, trace: trace))
        case 304 where wasConditional:
            return .result(.notModified(trace))
        case 301, 302, 303, 307, 308:
            guard let url = transfer.redirectURL else { return .result(statusFailure(transfer, of: spec)) }
            return .redirect(to: url)
        default:
            return .result(statusFailure(transfer, of: spec))
        }
    }

    /// By the origin's own clock: changed within the two seconds before it answered.
    private static func isYoung(_ transfer: CurlTransfer) -> Bool {
        guard let changed = transfer.date("Last-Modified"), let answered = transfer.date("Date") else { return false }
        return answered - changed < 2
    }

    private static func document(
        _ transfer: CurlTransfer,
        of spec: SourceSpec,
        validators: Validators,
        trace: Trace
    ) -> FetchResult {
        let contentType = transfer.header("Content-Type")?.prefix { $0 != ";" }
        // The body is copied once, out of libcurl's hands.
        guard MemoryRoom.has(transfer.bodyLength) else {
            return .failed(.noMemory(.fetch, bytes: transfer.bodyLength), retryAfterNanoseconds: nil)
        }
        let body = transfer.takeBody()
        guard transfer.isFramed || looksLikeWholeJSON(body) else {
            return .failed(
                StageFailure(
                    .fetch,
                    "unframed",
                    "the response does not say where it ends, so a part could not be told from the whole",
                    hint: "let the origin send Content-Length or chunked encoding"
                ),
                retryAfterNanoseconds: nil
            )
        }
        var trace = trace
        trace[.received] = MonotonicTime.now.nanoseconds
        return .document(
            FetchedDocument(
                source: spec.name,
                body: body,
                validators: validators,
                contentType: contentType.map { $0.lowercased().filter { !$0.isWhitespace } },
                trace: trace
            )
        )
    }

    /// JSON shows itself where it ends; decoding tells for sure. Anything else that was cut off may still look whole.
    private static func looksLikeWholeJSON(_ body: [UInt8]) -> Bool {
        func isText(_ byte: UInt8) -> Bool { !" \t\r\n".utf8.contains(byte) }
        return body.first(where: isText) == UInt8(ascii: "{") && body.last(where: isText) == UInt8(ascii: "}")
    }

    private static func statusFailure(_ transfer: CurlTransfer, of spec: SourceSpec) -> FetchResult {
        let status = transfer.status
        // Junk in the header reads as no header.
        let retryAfter = transfer.header("Retry-After").flatMap { UInt64($0) }
            .map { $0.multipliedReportingOverflow(by: 1_000_000_000) }
            .map { $0.overflow ? UInt64.max : $0.partialValue }
        let hint: String? =
            switch status {
            case 401, 403: "check the credentials in 'headers' of source '\(spec.name)'"
            case 404, 410: "check the path in 'url' of source '\(spec.name)'"
            case 204: "the origin has an empty document here; if that is meant, remove the source"
            case 206: "the origin sends a part that was not asked for"
            default: nil
            }
        let failure = StageFailure(.fetch, "http_status", "the origin answers HTTP status \(status)", hint: hint)
        return .failed(failure, retryAfterNanoseconds: retryAfter)
    }

    /// - Parameter failure: as libcurl put it.
    static func stageFailure(_ failure: CurlTransfer.Failure, of spec: SourceSpec) -> StageFailure {
        StageFailure(.fetch, code(of: failure.kind), failure.message, hint: hint(for: failure.kind, spec.name))
    }

    private static let codes: [CurlTransfer.Failure.Kind: String] = [
        .resolve: "resolve", .connect: "connect", .timeout: "timeout", .tls: "tls", .certificate: "certificate",
        .bodyTooLarge: "too_large", .headersTooLarge: "headers_too_large", .truncated: "truncated",
        .encoding: "encoding", .addressRefused: "address_refused", .emptyReply: "empty_reply",
        .badResponse: "bad_response", .memory: StageFailure.noMemoryCode, .other: "other",
    ]

    private static func code(of kind: CurlTransfer.Failure.Kind) -> String { codes[kind] ?? "other" }

    private static func hint(for kind: CurlTransfer.Failure.Kind, _ source: SourceName) -> String? {
        switch kind {
        case .resolve: "check the host name and this machine's resolver"
        case .connect: "check that the origin runs and that nothing between blocks the port"
        case .timeout: "raise 'timeout' of source '\(source)' if the origin is known to be slow"
        case .tls: "check 'tls' of source '\(source)'"
        case .certificate: "check the origin's certificate, this machine's clock and 'tls.ca' of '\(source)'"
        case .memory: StageFailure.noMemoryHint
        case .bodyTooLarge: "raise 'guard.max_bytes' of source '\(source)' if that is meant"
        case .addressRefused: "set 'allow_link_local: true' in source '\(source)' if that is meant"
        default: nil
        }
    }
}
