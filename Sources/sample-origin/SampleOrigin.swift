internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// A tiny origin for `make run`: serves the files of one directory over HTTP on loopback, with ETags.
///
/// Usage: sample-origin --directory DIR [--port N] [--port-file FILE]
@main
struct SampleOrigin {
    static func main() throws {
        var options: [String: String] = [:]
        var arguments = CommandLine.arguments.dropFirst()
        while let name = arguments.popFirst(), let value = arguments.popFirst() { options[name] = value }
        guard let directory = options["--directory"], let port = Int(options["--port"] ?? "0") else {
            print("usage: sample-origin --directory DIR [--port N] [--port-file FILE]")
            exit(64)
        }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let channel = try ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(FileHandler(directory: directory))
                }
            }
            .bind(host: "127.0.0.1", port: port)
            .wait()
        let bound = channel.localAddress?.port ?? 0
        print("serving \(directory) on http://127.0.0.1:\(bound)/")
        fflush(nil)
        if let file = options["--port-file"] { try writePort(bound, to: file) }
        try channel.closeFuture.wait()
    }

    /// By rename, so that whoever waits for the file never reads half a number.
    private static func writePort(_ port: Int, to path: String) throws {
        let temporary = path + ".tmp"
        guard let file = fopen(temporary, "w") else { throw IOError(errnoCode: errno, reason: "open \(temporary)") }
        fputs("\(port)\n", file)
        fclose(file)
        guard rename(temporary, path) == 0 else { throw IOError(errnoCode: errno, reason: "rename \(temporary)") }
    }
}

/// Answers GET with a file, 304 when its ETag is known already.
private final class FileHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let directory: String
    private var head: HTTPRequestHead?

    init(directory: String) { self.directory = directory }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body: break
        case .end:
            guard let head else { return }
            answer(head, context: context)
        }
    }

    private func answer(_ request: HTTPRequestHead, context: ChannelHandlerContext) {
        let name = request.uri.prefix { $0 != "?" }.dropFirst()
        // One flat directory: no slashes, nothing hidden.
        guard request.method == .GET, !name.isEmpty, !name.contains("/"), !name.hasPrefix("."),
            let (content, etag) = read(directory + "/" + name)
        else { return write(.notFound, [:], nil, context: context) }
        let type = name.hasSuffix(".yaml") ? "application/yaml" : "application/json"
        if request.headers.first(name: "If-None-Match") == etag {
            return write(.notModified, ["ETag": etag], nil, context: context)
        }
        write(.ok, ["ETag": etag, "Content-Type": type], content, context: context)
    }

    private func write(
        _ status: HTTPResponseStatus,
        _ fields: KeyValuePairs<String, String>,
        _ content: [UInt8]?,
        context: ChannelHandlerContext
    ) {
        var headers = HTTPHeaders(fields.map { ($0.key, $0.value) })
        if status != .notModified { headers.add(name: "Content-Length", value: String(content?.count ?? 0)) }
        context.write(
            wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers))),
            promise: nil
        )
        if let content {
            context.write(
                wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(bytes: content)))),
                promise: nil
            )
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    private func read(_ path: String) -> (content: [UInt8], etag: String)? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { content += chunk[..<count] }
        // FNV-1a over the content: enough to tell a sample's versions apart.
        let hash = content.reduce(into: UInt64(0xCBF2_9CE4_8422_2325)) { hash, byte in
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
        }
        return (content, "\"\(String(hash, radix: 16))\"")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
