import BenchKit
import Foundation

/// A running agentd with a directory of its own, and what systemd would be to it.
final class Agent {
    let directory: URL
    private let binaries: URL
    private var process: Process?
    private var manager: Int32 = -1
    /// More variables of its environment.
    var environment: [String: String] = [:]
    /// A command that becomes agentd: the program's path and its arguments are put behind it. Not for `--once`.
    var launcher: [String] = []
    /// The document from its second key on.
    private let rest: String
    private(set) var sequence = 0

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// - Parameters:
    ///   - keys: how many the document has, beside those below `bench`.
    ///   - source: another source than that document, in YAML; in it `PATH` stands for the document's.
    ///   - settings: more lines of its configuration.
    ///   - others: lines for more sources.
    init(
        binaries: URL,
        keys: Int,
        workers: Int = 2,
        poll: String = "1s",
        source: String? = nil,
        settings: String = "",
        others: String = ""
    ) throws {
        self.binaries = binaries
        directory = FileManager.default.temporaryDirectory.appending(path: "agent-bench-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let members = (0..<keys).map { "\"service\($0 / 20).setting\($0)\": \"value number \($0)\"" }
        rest = members.map { ",\($0)" }.joined()
        let configuration = """
            runtime_dir: \(file("run").path)
            state_dir: \(file("state").path)
            workers: \(workers)
            sources:
              app: \(source?.replacing("PATH", with: file("app.json").path) ?? "{url: \"file://\(file("app.json").path)\", poll: \(poll)}")
            \(others)
            \(settings)
            """
        try configuration.write(to: file("agent.yaml"), atomically: true, encoding: .utf8)
        try writeDocument()
    }

    /// Another document: all but one of its keys stay.
    func writeDocument() throws {
        sequence += 1
        try "{\"bench\": {\"sequence\": \(sequence), \"greeting\": \"hello, world\"}\(rest)}".write(
            to: file("app.json"),
            atomically: true,
            encoding: .utf8
        )
    }

    /// Stops the agent and removes its directory. May be called twice.
    func end() {
        stop()
        if manager >= 0 { close(manager) }
        manager = -1
        try? FileManager.default.removeItem(at: directory)
    }

    func file(_ name: String) -> URL { directory.appending(path: name) }

    private func run(_ arguments: [String]) throws -> Process {
        let process = Process()
        let program = binaries.appending(path: "agentd").path
        let launcher = arguments.isEmpty ? launcher : []
        let command = launcher + [program, "--config", file("agent.yaml").path, "--log-level", "warning"] + arguments
        process.executableURL = URL(filePath: command[0])
        process.arguments = Array(command.dropFirst())
        let own = ["NOTIFY_SOCKET": file("notify").path, "PATH": "/usr/bin:/bin"]
        process.environment = own.merging(environment) { $1 }
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }

    /// Puts the stored copy in place.
    func prepare() throws {
        let once = try run(["--once"])
        once.waitUntilExit()
        guard once.terminationStatus == 2 else { throw Failure(description: "--once: \(once.terminationStatus)") }
        try listen()
    }

    private func listen() throws {
        manager = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array(file("notify").path.utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(manager, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard manager >= 0, bound == 0 else { throw Failure(description: "cannot play systemd") }
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(manager, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    /// Starts agentd.
    ///
    /// - Returns: milliseconds from the start of the process until it said READY=1.
    func start() throws -> Double {
        let begin = DispatchTime.now()
        process = try run([])
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = recv(manager, &buffer, buffer.count, 0)
            guard count > 0 else { throw Failure(description: "no READY=1 within 10 s") }
            if String(decoding: buffer[..<count], as: UTF8.self).contains("READY=1") { break }
        }
        return Double(DispatchTime.now().uptimeNanoseconds - begin.uptimeNanoseconds) / 1e6
    }

    func stop() {
        process?.terminate()
        process?.waitUntilExit()
        process = nil
    }

    var pid: pid_t { process?.processIdentifier ?? 0 }
    var configSocket: String { file("run/config.sock").path }
    var controlSocket: String { file("run/control.sock").path }
    var statusSocket: String { file("run/status.sock").path }

    /// Bytes of memory that belongs to the process alone and to no file.
    func anonymousMemory() throws -> Double { try Figures.anonymousMemory(pid) }
}
