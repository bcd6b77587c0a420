internal import CCurl
internal import Glibc

/// Speaks HTTP over a Unix socket, one request at a time; blocks until the answer is there.
///
/// Nothing outside its parameters changes what it does: no proxy, no `.netrc`, no redirect, no environment variable.
public struct LocalClient: Sendable {
    /// The socket's path.
    public let socketPath: String
    /// The longest that a request may take, from connecting to the last byte.
    public let timeoutMilliseconds: Int
    /// The longest body that is taken.
    public let maxBytes: Int

    /// A client for the socket at `socketPath`; connects to nothing yet.
    public init(socketPath: String, timeoutMilliseconds: Int = 10_000, maxBytes: Int = 64 << 20) {
        self.socketPath = socketPath
        self.timeoutMilliseconds = timeoutMilliseconds
        self.maxBytes = maxBytes
    }

    /// What is asked for.
    public enum Method: Sendable {
        case get
        /// With an empty body.
        case post
    }

    /// An answer, whatever its status.
    public struct Response: Sendable {
        /// The status code.
        public let status: Int
        /// The body, decoded.
        public let body: [UInt8]
        /// In the order received, names in lower case.
        let headers: [(name: String, value: String)]

        /// The first header of this name, in whatever case.
        public func header(_ name: String) -> String? {
            let wanted = name.lowercased()
            return headers.first { $0.name == wanted }?.value
        }
    }

    /// Why there is no answer.
    public enum Failure: Error, Sendable, Hashable {
        /// Nothing is at the socket's path.
        case noSuchSocket
        /// The socket is there, but nobody listens.
        case refused
        /// The socket may not be used by this user.
        case noPermission
        /// The time was up.
        case timeout
        /// The body is longer than `maxBytes`.
        case tooLarge
        /// The other side has closed the connection before its answer was whole; in libcurl's words.
        case hungUp(String)
        /// Anything else, in libcurl's words.
        case other(String)
    }

    /// Sends one request and waits for its answer.
    ///
    /// - Parameters:
    ///   - path: with its query, every part of it percent-encoded: see ``percentEncoded(_:)``.
    ///   - headers: further lines for the request.
    public func request(
        _ method: Method = .get,
        path: String,
        headers: [(name: String, value: String)] = []
    ) throws(Failure) -> Response {
        let transfer = try prepare(method, path, headers)
        return try perform(transfer.handle).get()
    }

    /// Sends one GET request and hands on what comes, piece by piece, until the other side or `take` ends it.
    ///
    /// The client's time limit counts, to a second, until the answer's first line; after that, no byte may be longer away than
    /// `silenceSeconds`.
    ///
    /// - Parameter take: called for each piece of the body of an answer of 2xx; `false` ends the transfer.
    /// - Returns: an answer with the body of one that refuses; `nil` when a stream was begun and has ended.
    public func stream(
        path: String,
        headers: [(name: String, value: String)] = [],
        silenceSeconds: Int,
        take: @escaping ([UInt8]) -> Bool
    ) throws(Failure) -> Response? {
        let transfer = try prepare(.get, path, headers)
        let handle = transfer.handle
        let receiver = StreamReceiver(handle, patienceMilliseconds: max(1, timeoutMilliseconds), take: take)
        ccurl_set_long(handle, CURLOPT_TIMEOUT_MS, 0)
        ccurl_set_long(handle, CURLOPT_CONNECTTIMEOUT_MS, max(1, timeoutMilliseconds))
        ccurl_set_long(handle, CURLOPT_LOW_SPEED_LIMIT, 1)
        ccurl_set_long(handle, CURLOPT_LOW_SPEED_TIME, max(1, silenceSeconds))
        // SAFETY: libcurl calls back only during curl_easy_perform, and the receiver lives until after it.
        let code = withExtendedLifetime(receiver) {
            let context = Unmanaged.passUnretained(receiver).toOpaque()
            ccurl_set_writer(handle, StreamReceiver.write, context)
            ccurl_set_progress(handle, StreamReceiver.progress, context)
            return curl_easy_perform(handle)
        }
        if receiver.isOver { return nil }
        if code == CURLE_ABORTED_BY_CALLBACK { throw .timeout }
        guard code == CURLE_OK else { throw failure(code, handle, ccurl_sink()) }
        let status = ccurl_get_long(handle, CURLINFO_RESPONSE_CODE)
        if (200..<300).contains(status) { return nil }
        return Response(status: status, body: receiver.refusal, headers: Self.headers(of: handle))
    }

    /// A handle with all that every request has, and what has to outlive it.
    private final class Transfer {
        let handle: UnsafeMutableRawPointer
        var lines: UnsafeMutablePointer<curl_slist>?

        init(_ handle: UnsafeMutableRawPointer) { self.handle = handle }

        deinit {
            curl_easy_cleanup(handle)
            // SAFETY: the transfer that reads the list is over; nothing else holds it.
            curl_slist_free_all(lines)
        }
    }

    private func prepare(
        _ method: Method,
        _ path: String,
        _ headers: [(name: String, value: String)]
    ) throws(Failure) -> Transfer {
        // sun_path holds 108 bytes with the zero; libcurl's message for a longer one does not say so.
        guard socketPath.utf8.count < 108 else {
            throw .other("the path of a Unix socket has at most 107 bytes: \(socketPath)")
        }
        guard CurlGlobal.initialise(), let handle = curl_easy_init() else { throw .other("libcurl does not start") }
        let transfer = Transfer(handle)
        for header in headers {
            // A failed append returns null and leaves the list as it was.
            guard let longer = curl_slist_append(transfer.lines, "\(header.name): \(header.value)")
            else { throw .other("out of memory") }
            transfer.lines = longer
        }
        guard configure(handle, method, path, transfer.lines) else { throw .other("libcurl refuses an option") }
        return transfer
    }

    /// `text` as one segment of a path or as one value of a query.
    public static func percentEncoded(_ text: String) -> String {
        let hex = Array("0123456789ABCDEF".utf8)
        var encoded: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                encoded.append(byte)
            default:
                encoded += [UInt8(ascii: "%"), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    private func configure(
        _ handle: UnsafeMutableRawPointer,
        _ method: Method,
        _ path: String,
        _ lines: UnsafeMutablePointer<curl_slist>?
    ) -> Bool {
        var results = [
            ccurl_set_string(handle, CURLOPT_UNIX_SOCKET_PATH, socketPath),
            ccurl_set_string(handle, CURLOPT_PROTOCOLS_STR, "http"),
            ccurl_set_string(handle, CURLOPT_URL, "http://localhost" + path),
            ccurl_set_string(handle, CURLOPT_PROXY, ""),
            ccurl_set_long(handle, CURLOPT_NOSIGNAL, 1),
            // A key such as `..` is a key, not a step upwards.
            ccurl_set_long(handle, CURLOPT_PATH_AS_IS, 1),
            ccurl_set_long(handle, CURLOPT_TIMEOUT_MS, max(1, timeoutMilliseconds)),
            ccurl_set_list(handle, CURLOPT_HTTPHEADER, lines),
        ]
        if case .post = method {
            results.append(ccurl_set_long(handle, CURLOPT_POST, 1))
            results.append(ccurl_set_string(handle, CURLOPT_COPYPOSTFIELDS, ""))
        }
        return results.allSatisfy { $0 == CURLE_OK }
    }

    private func perform(_ handle: UnsafeMutableRawPointer) -> Result<Response, Failure> {
        var sink = ccurl_sink()
        sink.body_limit = max(0, maxBytes)
        sink.header_limit = 64 << 10
        // An answer that refuses says why in its body.
        sink.keep_all_bodies = true
        // SAFETY: libcurl writes into the sink only during curl_easy_perform, which ends before this closure does.
        return withUnsafeMutablePointer(to: &sink) { sink in
            ccurl_attach_sink(handle, sink)
            let code = curl_easy_perform(handle)
            // SAFETY: the body's bytes are copied out before the sink is emptied.
            defer { ccurl_sink_reset(sink) }
            guard code == CURLE_OK else { return .failure(failure(code, handle, sink.pointee)) }
            return .success(
                Response(
                    status: ccurl_get_long(handle, CURLINFO_RESPONSE_CODE),
                    body: Array(UnsafeBufferPointer(start: sink.pointee.body, count: sink.pointee.body_length)),
                    headers: Self.headers(of: handle)
                )
            )
        }
    }

    private func failure(_ code: CURLcode, _ handle: UnsafeMutableRawPointer, _ sink: ccurl_sink) -> Failure {
        if sink.body_exceeded { return .tooLarge }
        if sink.header_exceeded { return .other("the headers are longer than 64 KiB") }
        if code == CURLE_OPERATION_TIMEDOUT { return .timeout }
        if code == CURLE_COULDNT_CONNECT {
            switch Int32(ccurl_get_long(handle, CURLINFO_OS_ERRNO)) {
            case ENOENT, ENOTDIR: return .noSuchSocket
            case EACCES, EPERM: return .noPermission
            case ECONNREFUSED: return .refused
            case EAGAIN: return .other("too many others are connecting")
            default: break
            }
        }
        let text = String(cString: curl_easy_strerror(code))
        return [CURLE_GOT_NOTHING, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_PARTIAL_FILE].contains(code)
            ? .hungUp(text) : .other(text)
    }

    private static func headers(of handle: UnsafeMutableRawPointer) -> [(name: String, value: String)] {
        var found: [(name: String, value: String)] = []
        var last: UnsafeMutablePointer<curl_header>?
        // SAFETY: libcurl owns the headers until the handle's next transfer; they are copied here.
        while let header = curl_easy_nextheader(handle, UInt32(CURLH_HEADER), -1, last) {
            found.append((String(cString: header.pointee.name).lowercased(), String(cString: header.pointee.value)))
            last = header
        }
        return found
    }
}

/// Takes the pieces of one streamed answer.
private final class StreamReceiver {
    private static let largestRefusal = 64 << 10

    private let handle: UnsafeMutableRawPointer
    private let take: ([UInt8]) -> Bool
    private let deadline: ContinuousClock.Instant
    /// Whether the one who takes has had enough.
    private(set) var isOver = false
    /// The body of an answer that is not of 2xx, as far as it is worth keeping.
    private(set) var refusal: [UInt8] = []

    init(_ handle: UnsafeMutableRawPointer, patienceMilliseconds: Int, take: @escaping ([UInt8]) -> Bool) {
        self.handle = handle
        deadline = .now + .milliseconds(patienceMilliseconds)
        self.take = take
    }

    /// A socket takes connections also for one that is stopped: who does not begin to answer is left.
    static let progress: curl_xferinfo_callback = { context, _, _, _, _ in
        guard let context else { return 0 }
        let receiver = Unmanaged<StreamReceiver>.fromOpaque(context).takeUnretainedValue()
        let hasBegun = ccurl_get_long(receiver.handle, CURLINFO_RESPONSE_CODE) != 0
        return hasBegun || .now < receiver.deadline ? 0 : 1
    }

    static let write: curl_write_callback = { bytes, size, count, context in
        guard let bytes, let context else { return 0 }
        let receiver = Unmanaged<StreamReceiver>.fromOpaque(context).takeUnretainedValue()
        // SAFETY: libcurl lends `size * count` bytes for the length of this call; they are copied.
        let piece = Array(UnsafeRawBufferPointer(start: bytes, count: size * count))
        return receiver.received(piece) ? size * count : 0
    }

    private func received(_ piece: [UInt8]) -> Bool {
        guard (200..<300).contains(ccurl_get_long(handle, CURLINFO_RESPONSE_CODE)) else {
            refusal += piece.prefix(Self.largestRefusal - refusal.count)
            return true
        }
        isOver = !take(piece)
        return !isOver
    }
}
