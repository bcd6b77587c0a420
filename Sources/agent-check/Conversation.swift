internal import CSandbox
internal import ConfigGuard
internal import Glibc

/// One check: the question and the document come in by standard input, and the answer goes out there.
struct Conversation {
    /// Directories that the command must not see, where the sandbox is ours to make.
    let hidden: [String]?
    private let connection: Int32 = 0
    /// Seconds for the whole of it beyond the check itself; then the kernel ends this process.
    private static let slack: UInt32 = 60

    init(hidden: [String]?) { self.hidden = hidden }

    func hold() {
        // Nobody may be there any more.
        signal(SIGPIPE, SIG_IGN)
        alarm(Self.slack)
        var patience = timeval(tv_sec: Int(Self.slack) / 2, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(connection, SOL_SOCKET, option, &patience, socklen_t(MemoryLayout<timeval>.size))
        }
        _ = Self.write(answer().bytes, to: connection)
    }

    private func answer() -> CheckAnswer {
        guard let (question, rest) = readQuestion() else { return .notRun("the question was not understood") }
        alarm(Self.slack + UInt32(clamping: question.check.timeoutMilliseconds / 1_000))
        let staged = stage(question.length, first: rest)
        guard staged >= 0 else { return .notRun("the document did not come whole, or there is no memory for it") }
        defer { close(staged) }
        guard Self.write(CheckAnswer.begun, to: connection) else { return .notRun("nobody waits for the answer") }
        return Execution(question: question, document: staged, connection: connection, hidden: hidden).run()
    }

    /// - Returns: with it, what has come of the document already.
    private func readQuestion() -> (CheckQuestion, [UInt8])? {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while bytes.count < CheckQuestion.longest {
            let count = read(connection, &chunk, chunk.count)
            guard count > 0 else { return nil }
            // The end may have come in two parts.
            let searched = max(0, bytes.count - 1)
            bytes += chunk[..<count]
            for index in searched..<(bytes.count - 1) where bytes[index] == 0x0A && bytes[index + 1] == 0x0A {
                return CheckQuestion(parsing: Array(bytes[..<index])).map { ($0, Array(bytes[(index + 2)...])) }
            }
        }
        return nil
    }

    /// Puts the document where the command can read it, and nobody can change it.
    ///
    /// - Returns: a descriptor for reading; -1 on failure.
    private func stage(_ length: Int, first: [UInt8]) -> Int32 {
        let file = cs_open_memory()
        guard file >= 0 else { return -1 }
        defer { close(file) }
        guard first.count <= length, Self.write(first, to: file) else { return -1 }
        var left = length - first.count
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while left > 0 {
            let count = read(connection, &chunk, min(chunk.count, left))
            guard count > 0, Self.write(Array(chunk[..<count]), to: file) else { return -1 }
            left -= count
        }
        return cs_seal_memory(file)
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var written = 0
        while written < bytes.count {
            // SAFETY: what is not written yet lies within the bytes.
            let count = bytes.withUnsafeBytes { raw in
                Glibc.write(descriptor, raw.baseAddress.map { $0 + written }, raw.count - written)
            }
            if count >= 0 { written += count } else if errno != EINTR { return false }
        }
        return true
    }
}
