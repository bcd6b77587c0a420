internal import ConfigSnapshot
internal import Glibc

/// Has documents checked where commands are run: at a socket, whose other end runs one command for each connection.
package enum CheckClient {
    /// For all that is not the command: to be started, to be told the document, to answer.
    package static let slackMilliseconds = 10_000
    /// Where nobody listens.
    private static let startSocket =
        "with systemd: systemctl start agent-check.socket; elsewhere the agent starts agent-check again by itself"
    /// How soon an end that nobody wants any more is noticed.
    private static let turnMilliseconds = 100

    /// Waits for the answer: for a thread that nobody waits for.
    ///
    /// - Parameters:
    ///   - path: of the socket.
    ///   - isWanted: asked several times a second.
    package static func ask(
        _ path: String,
        _ question: CheckQuestion,
        _ body: [UInt8],
        isWanted: @escaping () -> Bool
    ) -> CheckAnswer {
        let end = now + question.check.timeoutMilliseconds + slackMilliseconds
        let descriptor: Int32
        switch connect(path, while: { now < end && isWanted() }) {
        case .success(let connected): descriptor = connected
        case .failure(let reason): return .notRun(reason.text, advice: startSocket)
        }
        defer { close(descriptor) }
        var turns = Turns(end: end, descriptor: descriptor, isWanted: isWanted)
        // One that answers before it has read all has something to say.
        for part in [question.bytes, body] where !turns.send(part) { break }
        let received = turns.receive(limit: CheckAnswer.begun.count + CheckAnswer.longest)
        let hasBegun = received.starts(with: CheckAnswer.begun)
        let answer = hasBegun ? Array(received.dropFirst(CheckAnswer.begun.count)) : received
        if let answer = CheckAnswer(parsing: answer) { return answer }
        guard isWanted() else { return .notRun("nobody waits for the answer any more") }
        if turns.isOver {
            let limit = question.check.timeoutMilliseconds + slackMilliseconds
            return .notRun("no answer within \(limit) ms at \(path)", advice: "is this machine too busy?")
        }
        guard hasBegun else {
            return .notRun(
                "what was to run it ended before it did, at \(path)",
                advice: "with systemd: journalctl -u 'agent-check@*' -u agent-check.socket; elsewhere: is there memory?"
            )
        }
        guard isServed(path) else { return .notRun("what ran it has ended", advice: "agentctl refresh asks again") }
        // Most often by the bounds that are set for both.
        return .refused(["its check, or what ran it, was ended: by its bounds of memory and time, or by somebody"])
    }

    /// Whether somebody listens at `path`.
    package static func isServed(_ path: String) -> Bool {
        guard case .success(let descriptor) = connect(path, while: { false }) else { return false }
        close(descriptor)
        return true
    }

    private struct Reason: Error {
        let text: String
    }

    /// - Parameter goesOn: asked while too many others wait to be let in.
    private static func connect(_ path: String, while goesOn: () -> Bool) -> Result<Int32, Reason> {
        func failure(_ what: String) -> Result<Int32, Reason> {
            .failure(Reason(text: "cannot \(what) \(path): \(String(cString: strerror(errno)))"))
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < room else { return .failure(Reason(text: "the path of \(path) is too long")) }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let descriptor = socket(
            AF_UNIX,
            Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue),
            0
        )
        guard descriptor >= 0 else { return failure("make a socket for") }
        while true {
            // SAFETY: the address lives for the length of the call, which reads no more than it is told.
            let connected = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            if connected == 0 { return .success(descriptor) }
            guard errno == EAGAIN || errno == EINTR, goesOn() else { break }
            usleep(useconds_t(turnMilliseconds) * 500)
        }
        defer { close(descriptor) }
        return failure("connect to")
    }

    /// The monotonic clock in milliseconds.
    private static var now: Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
    }

    private struct Turns {
        let end: Int
        let descriptor: Int32
        let isWanted: () -> Bool

        var isOver: Bool { CheckClient.now >= end || !isWanted() }

        private func wait(for events: Int32) -> Bool {
            while !isOver {
                var polled = pollfd(fd: descriptor, events: Int16(events), revents: 0)
                let left = end - CheckClient.now
                if poll(&polled, 1, Int32(clamping: max(1, min(left, CheckClient.turnMilliseconds)))) > 0 {
                    return true
                }
            }
            return false
        }

        /// - Returns: `false` where the other end takes no more.
        mutating func send(_ bytes: [UInt8]) -> Bool {
            var sent = 0
            while sent < bytes.count {
                guard wait(for: POLLOUT) else { return false }
                let count = bytes.withUnsafeBytes { raw in
                    // SAFETY: what is not sent yet lies within the bytes.
                    Glibc.send(
                        descriptor,
                        raw.baseAddress.map { $0 + sent },
                        raw.count - sent,
                        Int32(MSG_NOSIGNAL)
                    )
                }
                if count >= 0 { sent += count } else if errno != EINTR, errno != EAGAIN { return false }
            }
            return true
        }

        /// Up to the end, or as much as is of use.
        mutating func receive(limit: Int) -> [UInt8] {
            var bytes: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 4_096)
            while bytes.count < limit, wait(for: POLLIN) {
                // SAFETY: `recv` writes no more than the buffer holds.
                let count = chunk.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
                if count > 0 {
                    bytes += chunk[..<count]
                } else if count == 0 || (errno != EINTR && errno != EAGAIN) {
                    break
                }
            }
            return bytes
        }
    }
}
