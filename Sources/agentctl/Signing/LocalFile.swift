internal import AgentctlKit
internal import Glibc

/// Files that the operator names.
enum LocalFile {
    /// No document is larger than an agent takes.
    private static let largest = 1 << 30

    static func read(_ path: String) throws(Problem) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw problem("read", path) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while bytes.count <= largest {
            // SAFETY: `read` writes no more than the buffer holds.
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw problem("read", path) }
            if count == 0 { return bytes }
            bytes.append(contentsOf: chunk[..<count])
        }
        throw Problem("\(path) is larger than 1 GiB", exit: .failure)
    }

    static func text(_ path: String) throws(Problem) -> String { String(decoding: try read(path), as: UTF8.self) }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Makes the file, or replaces it whole: whoever reads it meanwhile sees the old one or the new one.
    static func replace(_ path: String, with bytes: [UInt8]) throws(Problem) {
        let temporary = "\(path).\(getpid()).tmp"
        try create(temporary, mode: 0o644, bytes)
        guard rename(temporary, path) == 0 else {
            let failure = problem("write", path)
            unlink(temporary)
            throw failure
        }
    }

    /// Makes a file that must not be there yet.
    static func create(_ path: String, mode: mode_t, _ bytes: [UInt8]) throws(Problem) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw problem("make", path) }
        defer { close(descriptor) }
        var rest = bytes[...]
        while !rest.isEmpty {
            // SAFETY: the pointer is used only during the call, for as many bytes as there are.
            let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { throw problem("write", path) }
            rest = rest.dropFirst(written)
        }
        guard fsync(descriptor) == 0 else { throw problem("write", path) }
    }

    private static func problem(_ verb: String, _ path: String) -> Problem {
        Problem("cannot \(verb) \(path): \(SystemError.text(errno))", exit: .failure)
    }
}
