internal import Foundation

/// A real etcd of one member, on loopback ports of its own.
public final class Etcd: @unchecked Sendable {
    public let port: UInt16
    private let peerPort: UInt16
    private let directory: TemporaryDirectory
    private let lock = NSLock()
    private var program: Program

    public static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: path) }

    private static let path = "/usr/bin/etcd"

    /// Starts it and waits until it answers.
    public init() throws {
        port = try freePort()
        peerPort = try freePort()
        directory = try TemporaryDirectory(prefix: "etcd")
        program = try Self.launch(port, peerPort, directory)
        try waitUntilReady()
    }

    private static func launch(_ port: UInt16, _ peerPort: UInt16, _ directory: TemporaryDirectory) throws -> Program {
        guard isInstalled else { throw ProgramFailed(description: "etcd is not installed") }
        let client = "http://127.0.0.1:\(port)"
        let peer = "http://127.0.0.1:\(peerPort)"
        return try Program(
            [
                path, "--data-dir", directory.path("data"), "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", "default=\(peer)", "--log-level", "error", "--unsafe-no-fsync",
            ],
            log: directory.path("log")
        )
    }

    private func waitUntilReady() throws {
        try waitUntil("etcd to answer", deadline: .seconds(20)) {
            guard lock.withLock({ program }).isRunning else {
                throw ProgramFailed(description: "etcd does not start: \(readText(directory.path("log")))")
            }
            return (try? HTTPClient.send("GET", "/health", to: .loopback(port)))?.status == 200
        }
    }

    deinit { stop() }

    public func stop() { lock.withLock { program }.stop(signal: SIGKILL) }

    /// Starts it again, with the data it had.
    public func start() throws {
        let next = try Self.launch(port, peerPort, directory)
        lock.withLock { program = next }
        try waitUntilReady()
    }

    /// Throws its data away, as somebody does who sets the machine up anew. To be called while it is stopped.
    public func wipe() throws { try FileManager.default.removeItem(atPath: directory.path("data")) }

    /// Runs `etcdctl` against it.
    @discardableResult
    public func control(_ words: String...) throws -> String {
        let output = try Program.run(
            ["/usr/bin/etcdctl", "--endpoints", "127.0.0.1:\(port)"] + words,
            environment: ["ETCDCTL_API": "3"]
        )
        guard output.code == 0 else { throw ProgramFailed(description: "etcdctl \(words): \(output)") }
        return output.standardOutput
    }

    /// Writes a key by the gateway, which is quicker than a program of its own.
    public func put(_ key: String, _ value: String) throws {
        func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }
        let body = Array(#"{"key":"\#(base64(key))","value":"\#(base64(value))"}"#.utf8)
        let answer = try HTTPClient.send("POST", "/v3/kv/put", to: .loopback(port), body: body)
        guard answer.status == 200 else { throw ProgramFailed(description: "etcd refuses: \(answer)") }
    }

    /// The URL of a key, or of a prefix that ends with a slash.
    public func url(_ key: String) -> String { "etcd+http://127.0.0.1:\(port)\(key)" }
}
