internal import ConfigSnapshot
internal import Glibc

/// Reads a source's file as one whole.
///
/// Reading may take for ever (a mount whose server is gone), so it is never done on the fetch thread.
enum FileReader {
    enum Outcome: Sendable {
        case read([UInt8], FileStamp)
        /// The file is still the one that was accepted.
        case same
        case failed(StageFailure)
    }

    /// - Parameter accepted: the stamp of the file in use, `nil` to read it in any case.
    static func read(_ spec: SourceSpec, unless accepted: FileStamp?) -> Outcome {
        guard let path = FileURL.path(of: spec.url) else {
            return .failed(StageFailure(.fetch, "cannot_read", "the URL names no file"))
        }
        // Not to wait where somebody has put a pipe.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return unreadable(path, errno) }
        defer { close(descriptor) }
        let stamp: FileStamp
        switch FileStamp.look(at: descriptor) {
        case .regular(let found): stamp = found
        case .notRegular: return .failed(StageFailure(.fetch, "cannot_read", "\(path) is not a regular file"))
        case .unreadable(let code): return unreadable(path, code)
        }
        if stamp == accepted { return .same }
        guard stamp.size <= spec.maxBytes else {
            return .failed(
                StageFailure(
                    .fetch,
                    "too_large",
                    "the document is larger than the limit of \(spec.maxBytes) bytes",
                    hint: "raise 'guard.max_bytes' of source '\(spec.name)' if that is meant"
                )
            )
        }
        guard MemoryRoom.has(stamp.size) else { return .failed(.noMemory(.fetch, bytes: stamp.size)) }
        let body: [UInt8]
        switch bytes(of: descriptor, count: stamp.size) {
        case .success(let read): body = read
        case .failure(let error): return unreadable(path, error.code)
        }
        // A file that changed while it was read may be half old and half new.
        guard FileStamp.look(at: path) == .regular(stamp), FileStamp.look(at: descriptor) == .regular(stamp),
            body.count == stamp.size
        else {
            return .failed(
                StageFailure(
                    .fetch,
                    "changed_while_read",
                    "\(path) changed while it was read",
                    hint: "write a new file and rename it over the old one"
                )
            )
        }
        return .read(body, stamp)
    }

    private struct ReadError: Error {
        let code: Int32
    }

    /// All there is, but no more than one byte beyond `count`: that is enough to see that the file has grown.
    private static func bytes(of descriptor: Int32, count: Int) -> Result<[UInt8], ReadError> {
        var bytes = [UInt8](repeating: 0, count: count + 1)
        var filled = 0
        while filled < bytes.count {
            // SAFETY: reads no more than what is left of the buffer, during the call only.
            let got = bytes.withUnsafeMutableBytes { raw in
                Glibc.read(descriptor, raw.baseAddress.map { $0 + filled }, raw.count - filled)
            }
            if got < 0 {
                if errno == EINTR { continue }
                return .failure(ReadError(code: errno))
            }
            if got == 0 { break }
            filled += got
        }
        bytes.removeLast(bytes.count - filled)
        return .success(bytes)
    }

    private static func unreadable(_ path: String, _ code: Int32) -> Outcome {
        .failed(
            StageFailure(
                .fetch,
                "cannot_read",
                "cannot read \(path): \(String(cString: strerror(code)))",
                hint: "check that the file exists and that the agent's user may read it"
            )
        )
    }
}
