import ConfigGuard
import ConfigSnapshot
import Foundation
import TestSupport
import Testing

@Suite("Asking for a check")
struct CheckClientTests {
    /// Ends each connection once it has said something, as what is killed does.
    private final class Ender: @unchecked Sendable {
        private let listening: Int32

        init(_ path: String, saying bytes: [UInt8]) throws {
            listening = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            let bound = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(listening, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            try #require(bound == 0 && listen(listening, 64) == 0)
            let descriptor = listening
            Thread.detachNewThread {
                while true {
                    let connection = accept(descriptor, nil, nil)
                    guard connection >= 0 else { return }
                    var chunk = [UInt8](repeating: 0, count: 4_096)
                    _ = read(connection, &chunk, chunk.count)
                    _ = send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
                    close(connection)
                }
            }
        }

        func stop() {
            shutdown(listening, Int32(SHUT_RDWR))
            close(listening)
        }
    }

    private func answer(saying bytes: [UInt8]) throws -> CheckAnswer {
        let directory = try TemporaryDirectory(prefix: "client")
        let ender = try Ender(directory.path("check.sock"), saying: bytes)
        defer { ender.stop() }
        let question = CheckQuestion(
            source: try #require(SourceName("app")),
            format: .json,
            check: Check(command: ["/bin/true"]),
            length: 2
        )
        return CheckClient.ask(directory.path("check.sock"), question, Array("{}".utf8)) { true }
    }

    @Test("An end before the command ran says nothing about the document")
    func beforeBegun() throws {
        for bytes in [[], Array("beg".utf8), Array("agent-check answer 1\nverdict: pas".utf8)] {
            guard case .notRun(let why, let advice) = try answer(saying: bytes) else {
                Issue.record("\(bytes) is an answer")
                continue
            }
            #expect(why.contains("ended before it did") && advice?.contains("journalctl") == true)
        }
    }

    @Test("An end while it ran is a refusal")
    func whileRunning() throws {
        for rest in ["", "agent-check answer 1\nverdict: passed\n"] {
            guard case .refused(let reasons) = try answer(saying: CheckAnswer.begun + Array(rest.utf8)) else {
                Issue.record("no refusal after \(rest)")
                continue
            }
            #expect(reasons.first?.contains("was ended") == true)
        }
    }

    @Test("An answer is one, whether the command was begun or not")
    func answered() throws {
        #expect(try answer(saying: CheckAnswer.begun + CheckAnswer.passed.bytes) == .passed)
        #expect(try answer(saying: CheckAnswer.notRun("no memory").bytes) == .notRun("no memory"))
    }

    @Test("Of a program its name in the file system says whether it could be one")
    func programs() throws {
        let directory = try TemporaryDirectory(prefix: "program")
        let plain = try directory.write("plain", "#!/bin/sh\n")
        try #require(chmod(plain, 0o644) == 0)
        func problem(_ path: String) -> String? { Check(command: [path, "{staged}"]).problem }
        #expect(problem("/bin/sh") == nil)
        #expect(problem("/no/such")?.contains("No such file") == true)
        #expect(problem(directory.path)?.contains("is a directory") == true)
        #expect(problem(plain)?.contains("chmod a+rx") == true)
        try #require(chmod(plain, 0o711) == 0)
        #expect(problem(plain) == nil)
    }
}
