internal import Glibc

@testable import ConfigDecode
@testable import ConfigFetch
@testable import ConfigSnapshot
@testable import Curl

/// Replies of a server to a kind of source, by way of libcurl: told as a whole and told in pieces they come to the same.
///
/// The input's first part says how the source is configured, each further part is a reply: a line with the status, header
/// lines, an empty line, the body. One that begins with `HTTP/` is sent as it is.
func fuzzReplies(_ bytes: [UInt8], _ spec: (_ setting: UInt8) -> SourceSpec) {
    let parts = parts(of: bytes, atMost: 7)
    guard let setting = parts[0].first, parts.count > 1 else { return }
    let replies = parts.dropFirst().map(reply)
    let whole = Conversation(spec(setting)).hold(replies, splitBy: nil)
    let pieces = Conversation(spec(setting)).hold(replies, splitBy: mixed(bytes))
    require(whole == pieces, "in pieces it comes to something else:\n\(whole)\n\(pieces)")
}

private func reply(_ part: [UInt8]) -> [UInt8] {
    if part.starts(with: "HTTP/".utf8) { return part }
    var rest = part[...]
    var lines: [ArraySlice<UInt8>] = []
    while !rest.isEmpty {
        let line = rest.prefix { $0 != UInt8(ascii: "\n") }
        rest = rest.dropFirst(line.count + 1)
        if line.isEmpty { break }
        lines.append(line)
    }
    var head = Array("HTTP/1.1 ".utf8) + (lines.first ?? [])
    for line in lines.dropFirst() { head += Array("\r\n".utf8) + line }
    return head + Array("\r\nConnection: close\r\nContent-Length: \(rest.count)\r\n\r\n".utf8) + rest
}

/// A source of one kind, and a server that says what it is told to say.
struct Conversation {
    // SAFETY: libFuzzer runs one input after the other, on one thread.
    nonisolated(unsafe) private static let server = Server()
    nonisolated(unsafe) private static let multi: CurlMulti = CurlMulti() ?? { fatalError("no libcurl") }()

    private let spec: SourceSpec
    private let client: any SourceClient
    private var log: [String] = []
    private var replies: ArraySlice<[UInt8]> = []
    private var seed: UInt64?

    init(_ spec: SourceSpec) {
        var spec = spec
        spec.unixSocket = Self.server.path
        // No connection is kept: each reply is to the request before it.
        spec.allowsLinkLocal = true
        spec.maxBytes = 64 << 10
        self.spec = spec
        client = spec.makeClient() ?? { fatalError("a kind without a client") }()
    }

    /// - Parameter seed: where replies are cut in two; `nil` for nowhere.
    /// - Returns: what came of each.
    consuming func hold(_ all: [[UInt8]], splitBy seed: UInt64?) -> [String] {
        self.seed = seed
        replies = all[...]
        var request = client.ask(.none)
        while let next = replies.popFirst() {
            switch understood(next, request) {
            case .ask(let following): request = following
            case .document(let body, let validators, _):
                check(body)
                watch()
                request = client.ask(validators)
            case .notModified, .failed: request = client.ask(.none)
            case nil: break
            }
        }
        return log
    }

    private mutating func understood(_ reply: [UInt8], _ request: SourceRequest) -> Understanding? {
        var heard: [UInt8] = []
        let answer = answer(reply, to: request) { heard += $0 }
        guard let answer else { return nil }
        let understood = client.understand(answer, to: request)
        switch understood {
        case .ask(let next): log.append("ask \(next.step) \(next.url)")
        case .document(let body, let validators, let type):
            // AppConfig's ETags are numbers of its own, drawn anew for each client.
            let etag = spec.kind == .appconfig ? nil : validators.etag
            log.append("document \(body) \(etag as Any) \(validators.order as Any) \(type as Any)")
        case .notModified: log.append("not modified")
        case .failed(let failure, let retryAfter): log.append("failed \(failure) \(retryAfter as Any)")
        }
        log.append("rest \(client.rest as Any) \(client.unwatchable as Any) \(client.wantsNewWatch)")
        return understood
    }

    /// Lets the next reply be one to a watch, where there is something to watch by.
    private mutating func watch() {
        guard let request = client.watch(), let next = replies.popFirst() else { return }
        var hasChanged = false
        var refusal: StageFailure?
        let client = client
        func note(_ news: News) {
            guard refusal == nil else { return }
            switch news {
            case .nothing: break
            case .changed: hasChanged = true
            case .refused(let failure): refusal = failure
            }
        }
        let answer = answer(next, to: request) { if refusal == nil { note(client.heard($0)) } }
        if let answer { note(client.heard(answer)) }
        // Behind a refusal nobody listens any more: how much was heard before it is a matter of how it came.
        log.append("watch \(refusal == nil && hasChanged) \(refusal as Any)")
        if refusal == nil { log.append("at hand \(client.atHand() as Any)") }
    }

    /// What is put together from keys is a document.
    private func check(_ body: [UInt8]) {
        guard spec.url.hasSuffix("/"), spec.kind == .etcd || spec.kind == .consul else { return }
        guard let tree = Reading(body, as: .json, maxDepth: 600).tree else {
            fatalError("put together from keys it is no JSON: \(String(decoding: body, as: UTF8.self))")
        }
        guard case .mapping = tree.kind else { fatalError("put together from keys it is no object") }
    }

    // MARK: By way of libcurl

    private mutating func answer(
        _ reply: [UInt8],
        to request: SourceRequest,
        _ heard: ([UInt8]) -> Void
    ) -> Answer? {
        let wanted = RequestBuilder.request(for: spec, request, url: request.url, isOwnOrigin: true)
        guard let transfer = CurlTransfer(wanted) else {
            log.append("cannot be asked")
            return nil
        }
        Self.multi.add(transfer)
        let cut = seed.map { Self.cut(reply, by: $0) } ?? reply.count
        seed = seed.map { $0 &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407 }
        Self.server.take { Self.multi.wait(milliseconds: 0) }
        Self.server.send(reply[..<cut])
        if cut < reply.count {
            Self.multi.wait(milliseconds: 0)
            while let (_, piece) = Self.multi.nextPiece() { heard(piece) }
            Self.server.send(reply[cut...])
        }
        Self.server.finish()
        let (done, failure) = whenDone(heard)
        Self.server.close()
        if failure != nil {
            log.append("transfer failed")
            return nil
        }
        log.append("status \(done.status)")
        return Answer(done, of: spec)
    }

    /// Somewhere in the body: what libcurl makes of half a head, or of one with other bytes than text, is its own business.
    /// Behind a head with a status below 200 comes another head.
    private static func cut(_ reply: [UInt8], by seed: UInt64) -> Int {
        guard let head = endOfHead(reply), !reply[..<head].contains(0),
            reply[..<head].drop(while: { $0 != 0x20 }).first(where: { $0 != 0x20 }) != UInt8(ascii: "1")
        else { return reply.count }
        return head + Int(seed % UInt64(reply.count - head + 1))
    }

    private func whenDone(_ heard: ([UInt8]) -> Void) -> (CurlTransfer, CurlTransfer.Failure?) {
        for _ in 0..<10_000 {
            Self.multi.wait(milliseconds: 1)
            while let (_, piece) = Self.multi.nextPiece() { heard(piece) }
            if let done = Self.multi.nextDone() { return done }
        }
        fatalError("libcurl does not come to an end")
    }
}

/// Behind the empty line of an HTTP message.
private func endOfHead(_ bytes: [UInt8]) -> Int? {
    guard bytes.count > 3 else { return nil }
    return bytes.indices.dropFirst(3).first { bytes[$0] == 0x0A && bytes[$0 - 2] == 0x0A && bytes[$0 - 1] == 0x0D }
        .map { $0 + 1 }
}

/// A server on a Unix socket, on the same thread: one connection at a time.
private final class Server {
    let path: String
    private let listener: Int32
    private var connection: Int32 = -1
    private var buffer = [UInt8](repeating: 0, count: 8 << 10)

    init() {
        // Two processes may fuzz at the same time.
        path = "\(getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp")/config-agent-fuzz.\(getpid())"
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        unlink(path)
        let isBound = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        guard isBound, listen(listener, 8) == 0 else { fatalError("no socket at \(path)") }
    }

    /// Takes the request that is on its way.
    func take(_ turn: () -> Void) {
        var request: [UInt8] = []
        for _ in 0..<1_000 {
            turn()
            if connection < 0 { connection = accept(listener, nil, nil) }
            guard connection >= 0 else { continue }
            let count = recv(connection, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count > 0 { request += buffer[..<count] }
            if Self.isWhole(request) { return }
        }
    }

    private static func isWhole(_ request: [UInt8]) -> Bool {
        guard let end = endOfHead(request) else { return false }
        let lines = request[..<end].split(separator: UInt8(ascii: "\n"))
        let length = lines.first { $0.starts(with: "Content-Length: ".utf8) }?.dropFirst(16).dropLast()
        return request.count - end >= length.flatMap { Int(String(decoding: $0, as: UTF8.self)) } ?? 0
    }

    func send(_ bytes: ArraySlice<UInt8>) {
        bytes.withUnsafeBytes { _ = Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }

    func finish() { shutdown(connection, Int32(SHUT_WR)) }

    func close() {
        Glibc.close(connection)
        connection = -1
    }
}
