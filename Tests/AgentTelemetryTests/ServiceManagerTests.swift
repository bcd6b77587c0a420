import AgentTelemetry
import Foundation
import Testing

@Suite("What systemd is told", .serialized)
struct ServiceManagerTests {
    /// A socket that takes notifications as systemd's does.
    private final class Manager {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)

        /// - Parameter name: a path, or `@` and the name of an abstract socket.
        init(_ name: String) throws {
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            let bytes = Array(name.utf8)
            withUnsafeMutableBytes(of: &address.sun_path) { raw in
                raw.copyBytes(from: bytes)
                if bytes.first == UInt8(ascii: "@") { raw[0] = 0 }
            }
            let size = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
            let result = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) }
            }
            try #require(result == 0)
        }

        deinit { close(descriptor) }

        var next: String {
            var buffer = [UInt8](repeating: 0, count: 4_096)
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
        }
    }

    private func check(_ name: String) throws {
        let manager = try Manager(name)
        setenv("NOTIFY_SOCKET", name, 1)
        setenv("WATCHDOG_USEC", "3000000", 1)
        setenv("WATCHDOG_PID", "\(getpid())", 1)
        let service = ServiceManager.takeOver()
        // Nobody who is started from here speaks in our name.
        for variable in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"] {
            #expect(getenv(variable) == nil, "\(variable)")
        }
        #expect(service.watchdogNanoseconds == 3_000_000_000)
        #expect(service.sockets.isEmpty)
        service.ready()
        #expect(manager.next == "READY=1")
        service.reloading()
        let parts = manager.next.split(separator: "\n")
        #expect(parts.first == "RELOADING=1")
        #expect(parts.last?.hasPrefix("MONOTONIC_USEC=") == true)
        service.status("all\nis well\r\nREADY=1")
        #expect(manager.next == "STATUS=all is well READY=1")
        service.extendStart(seconds: 15)
        #expect(manager.next == "EXTEND_TIMEOUT_USEC=15000000")
        service.feedWatchdog()
        #expect(manager.next == "WATCHDOG=1")
        service.stopping()
        #expect(manager.next == "STOPPING=1\nSTATUS=stopping")
    }

    @Test func byPath() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("notify-\(UUID().uuidString)").path
        defer { unlink(path) }
        try check(path)
    }

    @Test func abstract() throws { try check("@config-agent-test-\(UUID().uuidString)") }

    @Test(
        "Without systemd, or with nonsense in its place, nothing happens",
        arguments: [nil, "", "relative", "/nowhere"]
    )
    func absent(name: String?) {
        if let name { setenv("NOTIFY_SOCKET", name, 1) } else { unsetenv("NOTIFY_SOCKET") }
        let service = ServiceManager.takeOver()
        #expect(service.watchdogNanoseconds == nil)
        service.ready()
        service.status("x")
        #expect(getenv("NOTIFY_SOCKET") == nil)
    }

    @Test("A manager that does not listen holds nobody up")
    func deaf() throws {
        let name = "@config-agent-test-\(UUID().uuidString)"
        let manager = try Manager(name)
        setenv("NOTIFY_SOCKET", name, 1)
        let service = ServiceManager.takeOver()
        for number in 0..<5_000 { service.status("\(number)") }
        #expect(manager.next == "STATUS=0")
    }
}
