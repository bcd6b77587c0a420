internal import Foundation
import TestSupport
import Testing

/// Clients that do what no good client does, at the cost of nobody else.
@Suite("Hostile clients", .enabled(if: mayUseNginx))
struct HostileClientTests {
    @Test("Whoever sends without reading costs one answer, and the others are served")
    func sendsWithoutReading() throws {
        let nginx = try Nginx()
        let big = (0..<20_000).map { "\"key\($0)\": \"some value that takes a little room \($0)\"" }
        try nginx.files.write("app.json", "{\"greeting\": \"hello\", \(big.joined(separator: ", "))}")
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: nginx.url("/app.json"))]))
        let before = try memory(of: agent)
        let request = Array("GET /v1/config HTTP/1.1\r\nHost: agent\r\n\r\n".utf8)
        let clients = try (0..<8).map { _ in try SilentClient(agent.directory.path("run/config.sock")) }
        // Each asks for the whole configuration, of more than a megabyte, until its socket takes no more.
        for client in clients { client.sendUntilFull(request, atMost: 4 << 20) }
        for _ in 0..<20 {
            #expect(try agent.control("get", "greeting").standardOutput == "\"hello\"\n")
            #expect(try agent.control("status").code == 0)
        }
        // An answer for each, and room to make one; answering all that was asked would take gigabytes.
        let grown = try memory(of: agent) - before
        #expect(grown < 64 << 20, "grew by \(grown >> 20) MiB")
        withExtendedLifetime(clients) {}
    }

    @Test("A large value is in memory once, however many are slow to read it, and whatever they ask for it with")
    func largeAndSlow() throws {
        let files = try TemporaryDirectory()
        let filling = (0..<40).map { "\"k\($0)\": \"\(String(repeating: "x", count: 100_000))\"" }
        let path = try files.write("app.json", "{\(filling.joined(separator: ", "))}")
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: "file://\(path)")]))
        let before = try memory(of: agent)
        let clients = try (0..<200).map { _ in try SilentClient(agent.directory.path("run/config.sock")) }
        for (number, client) in clients.enumerated() {
            let target = number % 2 == 0 ? "/v1/config?\(number)" : "/v1/watch"
            let lines = ["GET \(target) HTTP/1.1", "Host: agent", "Last-Event-ID: \(number)", "", ""]
            client.sendUntilFull(Array(lines.joined(separator: "\r\n").utf8), atMost: 1)
        }
        try waitUntil("all are being answered") {
            try agent.status()["clients"]["config"]["watchers"].int == 100
        }
        // 4 MB for each would be 800 MB. Each worker makes the value and the event once.
        let grown = try memory(of: agent) - before
        #expect(grown < 64 << 20, "grew by \(grown >> 20) MiB")
        withExtendedLifetime(clients) {}
    }

    @Test("An ETag that no header can carry does no harm")
    func strangeETag() throws {
        let origin = try HeldOrigin { _ in
            .bytes(
                Array(
                    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nETag: \"v\u{1}\u{1b}[31m\"\r\n\r\n{\"a\": 12}".utf8
                )
            )
        }
        defer { origin.stop() }
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: origin.url("/app.json"))]))
        #expect(try agent.control("get", "a").standardOutput == "12\n")
        #expect(try !agent.control("status").standardOutput.contains("\u{1b}"))
    }

    /// Resident bytes.
    private func memory(of agent: AgentProcess) throws -> Int {
        let fields = readText("/proc/\(agent.program.pid)/statm").split(separator: " ")
        return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * 4_096
    }
}

/// A connection that is written to and never read from.
private final class SilentClient {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else { throw ProgramFailed(description: "cannot connect to \(path)") }
    }

    func sendUntilFull(_ bytes: [UInt8], atMost limit: Int) {
        var sent = 0
        // The agent may take a little more each time it has read: the socket counts as full when it stays so.
        var refusals = 0
        while sent < limit, refusals < 50 {
            let count = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                sent += count
                refusals = 0
            } else {
                refusals += 1
                usleep(2_000)
            }
        }
    }

    deinit { close(descriptor) }
}
