import BenchKit
import Foundation

/// A real etcd of one member, on loopback ports of its own. It comes and goes by its process id.
final class EtcdStore: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: the process is touched under `lock`.
    static let program = "/usr/bin/etcd"
    static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: program) }

    let port: UInt16
    private let peer: UInt16
    private let directory: URL
    private let lock = NSLock()
    private var child: Child?

    init(in directory: URL) throws {
        port = try TCP.freePort()
        peer = try TCP.freePort()
        self.directory = directory
        try start()
    }

    func start() throws {
        let client = "http://127.0.0.1:\(port)"
        let other = "http://127.0.0.1:\(peer)"
        let child = try Child(
            Self.program,
            [
                "--data-dir", directory.appending(path: "etcd").path, "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", other, "--initial-advertise-peer-urls", other,
                "--initial-cluster", "default=\(other)", "--log-level", "error", "--unsafe-no-fsync",
            ]
        )
        lock.withLock { self.child = child }
        let deadline = Figures.now + 30_000_000_000
        while (try? put([("soak-ready", "1")])) == nil {
            guard child.end == nil, Figures.now < deadline else { throw Tools.Failure(description: "no etcd") }
            usleep(50_000)
        }
    }

    func stop() { lock.withLock { child }?.stop() }

    /// Writes all keys at once: nobody sees some without the others.
    func put(_ pairs: [(String, String)]) throws {
        func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }
        let puts = pairs.map { "{\"requestPut\":{\"key\":\"\(base64($0.0))\",\"value\":\"\(base64($0.1))\"}}" }
        let body = "{\"success\":[\(puts.joined(separator: ","))]}"
        let request =
            "POST /v3/kv/txn HTTP/1.1\r\nHost: etcd\r\nContent-Type: application/json\r\nConnection: close\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        guard let connection = TCP.connect(port: port) else { throw Tools.Failure(description: "no etcd there") }
        defer { close(connection) }
        TCP.limit(connection, seconds: 5)
        guard TCP.send(request, to: connection), let head = TCP.head(from: connection), head.hasPrefix("HTTP/1.1 200")
        else { throw Tools.Failure(description: "etcd does not take \(pairs.count) keys") }
    }
}
