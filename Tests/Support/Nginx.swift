internal import Foundation

/// One line of nginx's access log.
public struct AccessLogEntry: Sendable, Hashable {
    public var method: String
    public var uri: String
    public var status: Int
    public var bodyBytes: Int
    /// What the request gave as If-None-Match; empty when it had none.
    public var ifNoneMatch: String
}

/// A real nginx with a directory of files, on a loopback port of its own.
public final class Nginx: @unchecked Sendable {
    public let port: UInt16
    /// The directory whose files it serves.
    public let files: TemporaryDirectory

    private let prefix: TemporaryDirectory
    private let program: Program

    /// Whether nginx is installed.
    public static var isInstalled: Bool { path != nil }

    private static let path = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    /// Starts it and waits until it answers.
    ///
    /// - Parameters:
    ///   - proxied: Paths that it passes on to a port on the loopback, by prefix such as `/held/`.
    ///   - extraServers: More `server` blocks, verbatim.
    public init(proxied: [String: UInt16] = [:], extraServers: String = "") throws {
        guard let path = Self.path else { throw ProgramFailed(description: "nginx is not installed") }
        let files = try TemporaryDirectory(prefix: "nginx-files")
        let prefix = try TemporaryDirectory(prefix: "nginx")
        for directory in ["logs", "tmp"] { try createDirectory(prefix.path(directory)) }
        // Somebody else may take the port between the look and the bind.
        var started: (Program, UInt16)?
        for attempt in 1...5 where started == nil {
            let port = try freePort()
            try prefix.write(
                "nginx.conf",
                Self.configuration(port, files: files.path, prefix: prefix.path, proxied, extraServers)
            )
            let program = try Program(
                [path, "-p", prefix.path + "/", "-c", prefix.path("nginx.conf"), "-e", prefix.path("logs/error.log")],
                log: prefix.path("logs/output.log")
            )
            do {
                try waitUntil("nginx to answer", deadline: .seconds(10)) {
                    guard program.isRunning else { return true }
                    return try HTTPClient.send("GET", "/-/ready", to: .loopback(port)).status == 204
                }
            } catch {
                program.stop(signal: SIGKILL)
                throw error
            }
            if program.isRunning {
                started = (program, port)
            } else if attempt == 5 {
                let words = readText(prefix.path("logs/error.log")) + program.standardOutput
                throw ProgramFailed(description: "nginx does not start: \(words)")
            }
        }
        guard let started else { throw ProgramFailed(description: "nginx does not start") }
        (program, port) = started
        self.files = files
        self.prefix = prefix
    }

    private static func configuration(
        _ port: UInt16,
        files: String,
        prefix: String,
        _ proxied: [String: UInt16],
        _ extra: String
    ) -> String {
        let format = [
            #""method":"$request_method""#, #""uri":"$request_uri""#, #""status":"$status""#,
            #""body":"$body_bytes_sent""#, #""inm":"$http_if_none_match""#,
        ].joined(separator: ",")
        let locations = proxied.sorted { $0.key < $1.key }.map { path, upstream in
            "location \(path) { proxy_pass http://127.0.0.1:\(upstream); proxy_buffering off; proxy_read_timeout 60s; }"
        }
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map {
            "\($0)_temp_path \(prefix)/tmp/\($0);"
        }
        return """
            daemon off;
            worker_processes 1;
            pid \(prefix)/nginx.pid;
            \(geteuid() == 0 ? "user root;" : "")
            events { worker_connections 1024; }
            http {
                \(temporary.joined(separator: " "))
                log_format json escape=json '{\(format)}';
                types { application/json json; application/yaml yaml; text/html html; }
                gzip on;
                gzip_min_length 1;
                gzip_types application/json application/yaml;
                server {
                    listen 127.0.0.1:\(port);
                    root \(files);
                    access_log \(prefix)/logs/access.log json;
                    location = /-/ready { access_log off; return 204; }
                    \(locations.joined(separator: "\n            "))
                }
                \(extra)
            }
            """
    }

    deinit {
        stop()
    }

    public func stop() {
        program.stop(signal: SIGQUIT, deadline: .seconds(3))
    }

    /// An address at this server.
    public func url(_ path: String) -> String { "http://127.0.0.1:\(port)\(path)" }

    /// Its own account of what was asked of it.
    public func log() throws -> [AccessLogEntry] {
        try readText(prefix.path("logs/access.log")).split(separator: "\n").map { line in
            let entry = try JSONValue(parsing: String(line))
            return AccessLogEntry(
                method: entry["method"].string ?? "",
                uri: entry["uri"].string ?? "",
                status: entry["status"].string.flatMap { Int($0) } ?? 0,
                bodyBytes: entry["body"].string.flatMap { Int($0) } ?? 0,
                ifNoneMatch: entry["inm"].string ?? ""
            )
        }
    }
}
