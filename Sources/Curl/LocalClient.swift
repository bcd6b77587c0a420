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
        // sun_path holds 108 bytes with the zero; libcurl's message for a longer one does not say so.
        guard socketPath.utf8.count < 108 else {
            throw .other("the path of a Unix socket has at most 107 bytes: \(socketPath)")
        }
        guard CurlGlobal.initialise(), let handle = curl_easy_init() else { throw .other("libcurl does not start") }
        defer { curl_easy_cleanup(handle) }
        var lines: UnsafeMutablePointer<curl_slist>?
        // SAFETY: the list is freed once the transfer that reads it is over; nothing else holds it.
        defer { curl_slist_free_all(lines) }
        for header in headers {
            // A failed append returns null and leaves the list as it was.
            guard let longer = curl_slist_append(lines, "\(header.name): \(header.value)") else {
                throw .other("out of memory")
            }
            lines = longer
        }
        guard configure(handle, method, path, lines) else { throw .other("libcurl refuses an option") }
        return try perform(handle).get()
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
        return .other(String(cString: curl_easy_strerror(code)))
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
