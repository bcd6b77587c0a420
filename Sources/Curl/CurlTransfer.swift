internal import CCurl
internal import Glibc

/// One request and what came back. Belongs to the thread of its ``CurlMulti``.
public final class CurlTransfer {
    public struct Request: Sendable {
        public var url: String
        /// The only schemes that may be spoken, as libcurl names them: `http,https`.
        public var schemes: String
        /// Speak HTTP over this Unix socket instead of to the URL's host.
        public var unixSocket: String?
        public var headers: [(name: String, value: String)] = []
        /// The whole transfer, from start to last byte.
        public var timeoutMilliseconds = 30_000
        public var connectTimeoutMilliseconds = 5_000
        public var ca: PEM?
        public var certificate: PEM?
        public var key: PEM?
        /// Public keys of which the server has to have one, each as `sha256//` and the digest in base64; none for any.
        public var pins: [String] = []
        /// The environment is never asked for one.
        public var proxy: Proxy?
        public var allowsLinkLocal = false
        /// No request goes over a connection that is older: names may lead elsewhere by now.
        public var oldestConnectionSeconds = 600
        /// Bounds the body after decompression.
        public var maxBodyBytes = 16 << 20
        /// Asked before much memory is taken for the body; `nil` to take it as it comes.
        public var hasRoom: (@convention(c) (Int) -> Bool)?
        /// Sent as the body of a POST; `nil` for a GET.
        public var post: [UInt8]?
        /// Signs the request as AWS wants it.
        public var signature: Signature?
        /// Whether bodies of other answers than those with status 200 are kept too.
        public var keepsAllBodies = false
        /// Whether no body is kept at all.
        public var discardsBodies = false
        /// Whether the body is taken piece by piece while it comes (``CurlMulti/nextPiece()``): the limit is then one for
        /// what has come and was not taken yet.
        public var isStream = false
        /// Bounds all header lines together.
        public var maxHeaderBytes = 64 << 10

        /// A file in PEM form, and what was read from it: connections are made with that, and are told apart by it, so
        /// that none outlives the file's content. `nil` to have libcurl read it, and say why it cannot.
        public struct PEM: Sendable {
            public var path: String
            public var bytes: [UInt8]?

            public init(path: String, bytes: [UInt8]? = nil) {
                self.path = path
                self.bytes = bytes
            }
        }

        public struct Proxy: Sendable {
            /// `http://host:port` or `https://host:port`.
            public var url: String
            public var user: String?
            public var password: String?

            public init(url: String, user: String? = nil, password: String? = nil) {
                self.url = url
                self.user = user
                self.password = password
            }
        }

        public struct Signature: Sendable {
            /// `aws:amz:REGION:SERVICE`.
            public var scope: String
            public var keyID: String
            public var secret: String

            public init(scope: String, keyID: String, secret: String) {
                self.scope = scope
                self.keyID = keyID
                self.secret = secret
            }
        }

        public init(url: String, schemes: String) {
            self.url = url
            self.schemes = schemes
        }
    }

    /// How a transfer failed.
    public struct Failure: Error, Sendable {
        public enum Kind: Sendable {
            case resolve, connect, timeout, tls, certificate, bodyTooLarge, headersTooLarge, truncated, encoding
            case addressRefused, emptyReply, badResponse, memory, other
        }
        public let kind: Kind
        /// libcurl's own words, with the details it had.
        public let message: String
    }

    /// How long the parts of a transfer took, in nanoseconds; `nil` for what did not happen.
    public struct Timings: Sendable, Equatable {
        /// From the start until the name was resolved.
        public var resolve: UInt64?
        /// From there until the connection stood.
        public var connect: UInt64?
        /// From there until its TLS was agreed on.
        public var tls: UInt64?
        /// From the request until the first byte of the answer.
        public var firstByte: UInt64?
        /// From the start to the end.
        public var total: UInt64

        /// How long the other side has taken until it began to answer; `nil` where it has not. The time of a resolver is
        /// not the other side's.
        public var latency: UInt64? { firstByte.map { $0 + (connect ?? 0) + (tls ?? 0) } }

        public init(resolve: UInt64?, connect: UInt64?, tls: UInt64?, firstByte: UInt64?, total: UInt64) {
            self.resolve = resolve
            self.connect = connect
            self.tls = tls
            self.firstByte = firstByte
            self.total = total
        }
    }

    let handle: UnsafeMutableRawPointer
    private let sink: UnsafeMutablePointer<ccurl_sink>
    private let body = BodyBuffer()
    private let errorText: UnsafeMutablePointer<CChar>
    private let unixSocket: String?
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private var connectTo: UnsafeMutablePointer<curl_slist>?
    /// Where it says that a piece of its body has come, while it is under way.
    var pieces: CurlPieces?
    private var hasPiece = false

    /// - Returns: `nil` when libcurl has no memory or a request that it cannot speak.
    public init?(_ request: Request) {
        guard let handle = curl_easy_init() else { return nil }
        // SAFETY: the handle, the sink, the error buffer and the header list are this object's alone and are freed in
        // deinit, after the multi handle has let go of the transfer.
        self.handle = handle
        unixSocket = request.unixSocket
        sink = .allocate(capacity: 1)
        sink.initialize(to: ccurl_sink())
        sink.pointee.body_limit = request.maxBodyBytes
        sink.pointee.has_room = request.hasRoom
        // SAFETY: the body's buffer lives as long as this object, and the sink no longer.
        sink.pointee.resize_context = Unmanaged.passUnretained(body).toOpaque()
        sink.pointee.resize = { context, capacity in
            guard let context else { return nil }
            return Unmanaged<BodyBuffer>.fromOpaque(context).takeUnretainedValue().resize(&capacity.pointee)
        }
        sink.pointee.header_limit = request.maxHeaderBytes
        sink.pointee.allow_link_local = request.allowsLinkLocal
        sink.pointee.keep_all_bodies = request.keepsAllBodies
        sink.pointee.discard_bodies = request.discardsBodies
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        ccurl_prepare(handle)
        ccurl_attach_sink(handle, sink)
        if request.isStream {
            // SAFETY: called by libcurl on the thread of this object's multi handle, which lets go of it before it ends.
            sink.pointee.piece_context = Unmanaged.passUnretained(self).toOpaque()
            sink.pointee.on_piece = { context in
                context.map { Unmanaged<CurlTransfer>.fromOpaque($0).takeUnretainedValue().notePiece() }
            }
        }
        guard configure(request) else { return nil }
    }

    deinit {
        curl_easy_cleanup(handle)
        curl_slist_free_all(headerList)
        curl_slist_free_all(connectTo)
        ccurl_sink_reset(sink)
        sink.deallocate()
        errorText.deallocate()
    }

    private func configure(_ request: Request) -> Bool {
        for (name, value) in request.headers {
            // A header without a value is written with a semicolon, or libcurl would remove it.
            let line = value.isEmpty ? "\(name);" : "\(name): \(value)"
            guard let extended = curl_slist_append(headerList, line) else { return false }
            headerList = extended
        }
        let strings: [(CURLoption, String?)] = [
            (CURLOPT_URL, request.url),
            (CURLOPT_PROTOCOLS_STR, request.schemes),
            (CURLOPT_UNIX_SOCKET_PATH, request.unixSocket),
            (CURLOPT_PINNEDPUBLICKEY, request.pins.isEmpty ? nil : request.pins.joined(separator: ";")),
            (CURLOPT_USERAGENT, "config-agent"),
        ]
        guard set(strings), configureProxy(request) else { return false }
        let files: [(file: CURLoption, blob: CURLoption, Request.PEM?)] = [
            (CURLOPT_CAINFO, CURLOPT_CAINFO_BLOB, request.ca),
            (CURLOPT_SSLCERT, CURLOPT_SSLCERT_BLOB, request.certificate),
            (CURLOPT_SSLKEY, CURLOPT_SSLKEY_BLOB, request.key),
        ]
        // Those of the system's directory would be believed besides.
        if request.ca != nil, ccurl_set_string(handle, CURLOPT_CAPATH, nil) != CURLE_OK { return false }
        for (file, blob, pem) in files {
            if let pem, !configure(file, blob, pem) { return false }
        }
        guard configureBody(request), configureSignature(request) else { return false }
        let numbers: [(CURLoption, Int)] = [
            // Over plain HTTP libcurl would wait for the first answer of an origin before it sends the second request.
            (CURLOPT_PIPEWAIT, request.url.lowercased().hasPrefix("https://") ? 1 : 0),
            (CURLOPT_TIMEOUT_MS, request.timeoutMilliseconds),
            (CURLOPT_CONNECTTIMEOUT_MS, request.connectTimeoutMilliseconds),
            (CURLOPT_MAXLIFETIME_CONN, request.oldestConnectionSeconds),
            // Nobody else may come to such an address over a connection that was kept.
            (CURLOPT_FORBID_REUSE, request.allowsLinkLocal ? 1 : 0),
        ]
        return numbers.allSatisfy { ccurl_set_long(handle, $0, $1) == CURLE_OK }
            && ccurl_set_pointer(handle, CURLOPT_ERRORBUFFER, errorText) == CURLE_OK
            && ccurl_set_list(handle, CURLOPT_HTTPHEADER, headerList) == CURLE_OK
    }

    private func set(_ strings: [(CURLoption, String?)]) -> Bool {
        strings.allSatisfy { option, value in value.map { ccurl_set_string(handle, option, $0) == CURLE_OK } ?? true }
    }

    private func configureProxy(_ request: Request) -> Bool {
        if !request.allowsLinkLocal, ccurl_names_metadata(request.url) {
            // A proxy would connect to any address. This way of writing it may also be one that only a resolver
            // understands. So it is written plainly, for our own rule for sockets to refuse.
            connectTo = curl_slist_append(nil, "::169.254.169.254:")
            return ccurl_set_list(handle, CURLOPT_CONNECT_TO, connectTo) == CURLE_OK
        }
        return set([
            (CURLOPT_PROXY, request.proxy?.url),
            (CURLOPT_PROXYUSERNAME, request.proxy?.user),
            (CURLOPT_PROXYPASSWORD, request.proxy?.password),
        ])
    }

    private func configure(_ file: CURLoption, _ blob: CURLoption, _ pem: Request.PEM) -> Bool {
        guard let bytes = pem.bytes, !bytes.isEmpty else { return ccurl_set_string(handle, file, pem.path) == CURLE_OK }
        return bytes.withUnsafeBytes { buffer in
            // SAFETY: copied by libcurl before it returns.
            buffer.baseAddress.map { ccurl_set_blob(handle, blob, $0, buffer.count) == CURLE_OK } ?? false
        }
    }

    private func configureBody(_ request: Request) -> Bool {
        guard let post = request.post else { return true }
        // Copied by libcurl, which is told the length first: the body may hold any bytes.
        return ccurl_set_off(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(post.count)) == CURLE_OK
            && post.withUnsafeBytes { ccurl_set_pointer(handle, CURLOPT_COPYPOSTFIELDS, $0.baseAddress) } == CURLE_OK
    }

    private func configureSignature(_ request: Request) -> Bool {
        guard let signature = request.signature else { return true }
        return ccurl_set_string(handle, CURLOPT_AWS_SIGV4, signature.scope) == CURLE_OK
            && ccurl_set_string(handle, CURLOPT_USERNAME, signature.keyID) == CURLE_OK
            && ccurl_set_string(handle, CURLOPT_PASSWORD, signature.secret) == CURLE_OK
    }

    // MARK: What came back. Valid once the transfer is done.

    /// The status of the last response; 0 for schemes without one.
    public var status: Int { ccurl_get_long(handle, CURLINFO_RESPONSE_CODE) }

    /// The first header of that name in the last response.
    public func header(_ name: String) -> String? {
        ccurl_header(handle, name).map { String(cString: $0) }
    }

    /// The moment that a header names, in seconds since 1970.
    public func date(_ name: String) -> Int64? { header(name).flatMap { Self.date($0) } }

    /// The moment that an HTTP date names, in seconds since 1970.
    public static func date(_ text: String) -> Int64? {
        let seconds = ccurl_date(text)
        return seconds < 0 ? nil : seconds
    }

    /// Where a redirect points to, made absolute.
    public var redirectURL: String? { ccurl_get_string(handle, CURLINFO_REDIRECT_URL).map { String(cString: $0) } }

    /// Whether the response said itself where it ends, so that a whole one can be told from a half one.
    public var isFramed: Bool {
        ccurl_get_long(handle, CURLINFO_HTTP_VERSION) >= CURL_HTTP_VERSION_2_0 || header("Content-Length") != nil
            || header("Transfer-Encoding")?.lowercased().hasSuffix("chunked") == true || sink.pointee.stream_ended
    }

    /// How long it took so far.
    public var timings: Timings {
        // Since the start, each: libcurl tells 0 of what did not happen, and of what a connection that was there already
        // had no need of.
        func moment(_ info: CURLINFO) -> UInt64 { UInt64(max(0, ccurl_get_off(handle, info))) * 1_000 }
        let resolved = moment(CURLINFO_NAMELOOKUP_TIME_T)
        let connected = moment(CURLINFO_CONNECT_TIME_T)
        let secured = moment(CURLINFO_APPCONNECT_TIME_T)
        let ready = moment(CURLINFO_PRETRANSFER_TIME_T)
        let answered = moment(CURLINFO_STARTTRANSFER_TIME_T)
        let isNew = ccurl_get_long(handle, CURLINFO_NUM_CONNECTS) > 0
        func since(_ earlier: UInt64, _ later: UInt64) -> UInt64? { later == 0 ? nil : later - min(earlier, later) }
        return Timings(
            resolve: isNew ? since(0, resolved) : nil,
            connect: isNew ? since(resolved, connected) : nil,
            tls: isNew ? since(connected, secured) : nil,
            firstByte: since(ready, answered),
            total: moment(CURLINFO_TOTAL_TIME_T)
        )
    }

    /// How much has come of the bodies of all its responses so far, as it was sent.
    public var receivedLength: Int { Int(clamping: ccurl_get_off(handle, CURLINFO_SIZE_DOWNLOAD_T)) }

    /// The body's length as the response has announced it, as it is sent; `nil` where it has not.
    public var announcedLength: Int? {
        let length = ccurl_get_off(handle, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T)
        return length < 0 ? nil : Int(clamping: length)
    }

    /// The body's length so far, decompressed.
    public var bodyLength: Int { sink.pointee.body_length }

    /// Takes the body, decompressed; a second call gets nothing.
    public func takeBody() -> [UInt8] {
        let body = Array(UnsafeBufferPointer(start: sink.pointee.body, count: sink.pointee.body_length))
        ccurl_sink_reset(sink)
        self.body.giveBack()
        return body
    }

    private func notePiece() {
        if hasPiece { return }
        hasPiece = true
        pieces?.waiting.append(self)
    }

    /// What has come of the body since the last time, decompressed.
    func takePiece() -> [UInt8] {
        hasPiece = false
        let piece = Array(UnsafeBufferPointer(start: sink.pointee.body, count: sink.pointee.body_length))
        sink.pointee.body_length = 0
        return piece
    }

    /// What `code`, libcurl's result for this transfer, means; `nil` for a success.
    func failure(for code: CURLcode) -> Failure? {
        let sink = sink.pointee
        if code == CURLE_OK {
            return ccurl_sink_is_complete(&self.sink.pointee)
                ? nil : Failure(kind: .truncated, message: "the gzip stream ends too early")
        }
        let detail = String(cString: errorText)
        let text = detail.isEmpty ? String(cString: curl_easy_strerror(code)) : detail
        if let kind = Self.ownReason(sink) { return Failure(kind: kind.0, message: kind.1) }
        if Self.isHeaderOverflow(code, sink) {
            return Failure(kind: .headersTooLarge, message: "a header line is larger than libcurl takes")
        }
        if code == CURLE_COULDNT_CONNECT, let socket = unixSocket {
            // libcurl speaks of the URL's host, which nobody asked.
            let error = Int32(ccurl_get_long(handle, CURLINFO_OS_ERRNO))
            let reason = error == 0 ? text : String(cString: strerror(error))
            return Failure(kind: .connect, message: "cannot connect to the socket \(socket): \(reason)")
        }
        return Failure(kind: Self.kind(of: code), message: text)
    }

    /// libcurl up to 8.5 calls a header line that is too long "out of memory"; later ones have a code for it (100).
    private static func isHeaderOverflow(_ code: CURLcode, _ sink: ccurl_sink) -> Bool {
        code.rawValue == 100 || (code == CURLE_OUT_OF_MEMORY && !sink.out_of_memory && sink.body_length == 0)
    }

    /// Why our own sink or socket rule stopped the transfer, if it did.
    private static func ownReason(_ sink: ccurl_sink) -> (Failure.Kind, String)? {
        if sink.body_exceeded {
            return (.bodyTooLarge, "the document is larger than the limit of \(sink.body_limit) bytes")
        }
        if sink.header_exceeded {
            return (.headersTooLarge, "the headers are larger than the limit of \(sink.header_limit) bytes")
        }
        if sink.encoding_unknown { return (.encoding, "the response is encoded in a way that was not asked for") }
        if sink.encoding_broken { return (.encoding, "the gzip stream is damaged") }
        if sink.lengths_conflict { return (.badResponse, "the response gives two different Content-Lengths") }
        if sink.out_of_memory { return (.memory, "there is no memory for the document") }
        if sink.address_refused {
            return (.addressRefused, "the name leads to a link-local address, where cloud metadata lives")
        }
        if sink.discarded_length > CCURL_DISCARD_LIMIT {
            return (.badResponse, "HTTP status \(sink.status) with an endless body")
        }
        return nil
    }

    private static func kind(of code: CURLcode) -> Failure.Kind {
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: .resolve
        case CURLE_COULDNT_CONNECT: .connect
        case CURLE_OPERATION_TIMEDOUT: .timeout
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_PINNEDPUBKEYNOTMATCH: .certificate
        case CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER, CURLE_SSL_CACERT_BADFILE,
            CURLE_USE_SSL_FAILED:
            .tls
        case CURLE_PARTIAL_FILE: .truncated
        case CURLE_GOT_NOTHING: .emptyReply
        case CURLE_WEIRD_SERVER_REPLY, CURLE_RECV_ERROR, CURLE_HTTP2, CURLE_HTTP2_STREAM, CURLE_UNSUPPORTED_PROTOCOL:
            .badResponse
        case CURLE_OUT_OF_MEMORY: .memory
        default: .other
        }
    }
}

/// Streams of which a piece has come and was not taken yet.
final class CurlPieces {
    var waiting: [CurlTransfer] = []
}
