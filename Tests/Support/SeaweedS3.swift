internal import Foundation

/// A real server of S3's protocol that checks signatures: SeaweedFS, on loopback ports of its own.
public final class SeaweedS3: @unchecked Sendable {
    public static let keyID = "AKIDTEST"
    public static let secret = "planted-s3-secret"
    public let port: UInt16

    private let directory: TemporaryDirectory
    private let program: Program

    public static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: path) }

    /// Put there by `make deps-test`, from PyPI.
    private static var path: String { "\(Workspace.root)/.build/venv/bin/weed" }

    /// Starts it and waits until it takes a bucket.
    public init(bucket: String) throws {
        guard Self.isInstalled else {
            throw ProgramFailed(description: "there is no \(Self.path): run 'make deps-test'")
        }
        let directory = try TemporaryDirectory(prefix: "seaweed")
        let rights = #"["Admin","Read","Write","List","Tagging"]"#
        let identity =
            #"{"name":"test","credentials":[{"accessKey":"\#(Self.keyID)","secretKey":"\#(Self.secret)"}],"actions":\#(rights)}"#
        try directory.write("s3.json", "{\"identities\":[\(identity)]}")
        try createDirectory(directory.path("data"))
        let ports = try (0..<8).map { _ in try freePort() }
        let names = [
            "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
            "s3.port", "s3.port.grpc",
        ]
        port = ports[6]
        self.directory = directory
        program = try Program(
            [
                Self.path, "-logtostderr", "server", "-dir", directory.path("data"), "-ip", "127.0.0.1", "-ip.bind",
                "127.0.0.1", "-s3", "-s3.config", directory.path("s3.json"), "-volume.max", "4",
                "-master.volumeSizeLimitMB", "64", "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
            ] + zip(names, ports).map { "-\($0)=\($1)" },
            log: directory.path("log")
        )
        let log = directory.path("log")
        try waitUntil("the S3 server to take a bucket", deadline: .seconds(60)) {
            guard program.isRunning else { throw ProgramFailed(description: "weed does not start: \(readText(log))") }
            return (try? put("", to: "/\(bucket)")) == 200
        }
    }

    deinit { stop() }

    public func stop() { program.stop(signal: SIGKILL) }

    public var endpoint: String { "http://127.0.0.1:\(port)" }

    /// Puts an object in place, by curl.
    ///
    /// - Returns: the status.
    @discardableResult
    public func put(_ text: String, to path: String) throws -> Int {
        let file = try directory.write("upload", text)
        let output = try Program.run([
            "/usr/bin/curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--aws-sigv4", "aws:amz:us-east-1:s3",
            "-u",
            "\(Self.keyID):\(Self.secret)", "-T", file, "\(endpoint)\(path)",
        ])
        return Int(output.standardOutput) ?? 0
    }
}
