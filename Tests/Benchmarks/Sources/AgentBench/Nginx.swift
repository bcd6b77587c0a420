import BenchKit
import Foundation

/// nginx with one worker on a Unix socket.
final class Nginx {
    let socket: String
    private let process = Process()

    /// As fast as it can be: `body` as a file.
    convenience init(directory: URL, body: Data) throws {
        let root = directory.appending(path: "nginx")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        try body.write(to: root.appending(path: "value"))
        try self.init(root: root, location: "root \(root.path);")
    }

    /// Many small documents, `/c/0.json` and so on, over TCP on a port of this machine.
    convenience init(directory: URL, documents: Int, port: UInt16, mayCache: Bool = true) throws {
        let root = directory.appending(path: "nginx")
        try FileManager.default.createDirectory(at: root.appending(path: "c"), withIntermediateDirectories: true)
        for number in 0..<documents {
            try Data("{\"s\(number)\": {\"value\": \(number)}}".utf8).write(
                to: root.appending(path: "c/\(number).json")
            )
        }
        try self.init(
            root: root,
            location: "listen 127.0.0.1:\(port); root \(root.path);\(mayCache ? "" : " open_file_cache off;")"
        )
    }

    /// A cache in front of an origin on this machine, which lets one request through for each thing.
    convenience init(directory: URL, origin port: UInt16) throws {
        let root = directory.appending(path: "nginx")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        let location = """
            location / {
                proxy_pass http://127.0.0.1:\(port);
                proxy_cache answers;
                proxy_cache_lock on;
            }
            """
        let cache = "proxy_cache_path \(root.path)/cache keys_zone=answers:1m;"
        try self.init(root: root, location: location, cache: cache)
    }

    private init(root: URL, location: String, cache: String = "") throws {
        socket = root.appending(path: "nginx.sock").path
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map {
            "\($0)_temp_path \(root.path)/\($0);"
        }
        try """
        daemon off;
        worker_processes 1;
        pid \(root.path)/nginx.pid;
        \(geteuid() == 0 ? "user root;" : "")
        error_log \(root.path)/error.log;
        events { worker_connections 2048; }
        http {
            \(temporary.joined(separator: " "))
            types { application/json value; }
            default_type application/json;
            access_log off;
            sendfile on;
            tcp_nopush off;
            keepalive_requests 100000000;
            keepalive_timeout 600s;
            open_file_cache max=100 inactive=600s;
            open_file_cache_valid 600s;
            \(cache)
            server {
                listen unix:\(socket);
                \(location)
            }
        }
        """.write(to: root.appending(path: "nginx.conf"), atomically: true, encoding: .utf8)
        process.executableURL = URL(filePath: "/usr/sbin/nginx")
        process.arguments = ["-p", root.path, "-c", root.appending(path: "nginx.conf").path]
        // Not this program's own: whoever reads that would wait for nginx too.
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        let deadline = Date.now + 10
        while workers.isEmpty || (try? LocalSocket(socket)) == nil {
            guard Date.now < deadline else {
                stop()
                throw Agent.Failure(description: "nginx does not start")
            }
            Thread.sleep(forTimeInterval: 0.02)
        }
    }

    var workers: [pid_t] { Figures.children(of: process.processIdentifier) }

    /// May be called twice.
    func stop() {
        guard process.isRunning else { return }
        process.terminate()
        process.waitUntilExit()
    }
}
