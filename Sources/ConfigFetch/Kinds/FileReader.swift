internal import ConfigSnapshot
internal import Glibc

/// Reads a source's file as one whole, and with it the signature that may lie beside it.
///
/// Reading may take for ever (a mount whose server is gone), so it is never done on the fetch thread.
enum FileReader {
    /// Whether the files are still those that were read.
    struct Stamps: Equatable, Sendable {
        var document: FileStamp
        /// `nil` where no signature is to lie beside it.
        var signature: FileStamp?

        /// Whether one of them was changed so lately that its next change may leave no trace: file systems count time in
        /// steps, some of them in steps of two seconds.
        func areYoung(at now: Int64) -> Bool {
            [document, signature].contains { stamp in stamp.map { $0.changed > now - 2_000_000_000 } ?? false }
        }
    }

    enum Outcome: Sendable {
        /// Without stamps where these do not tell yet whether the files are the same.
        case read([UInt8], signature: [UInt8]?, Stamps?)
        /// The files are still the ones that were accepted.
        case same
        case failed(StageFailure)
    }

    /// All that is read.
    static func urls(of spec: SourceSpec) -> [String] {
        spec.hasSignatureBeside ? [spec.url, spec.signatureBeside.url] : [spec.url]
    }

    /// - Parameter accepted: the stamps of the files in use, `nil` to read them in any case.
    static func read(_ spec: SourceSpec, unless accepted: Stamps?) -> Outcome {
        let now = WallClock.nowNanoseconds
        do throws(StageFailure) {
            let document = try OpenFile(spec.url, spec)
            var stamps = Stamps(document: document.stamp)
            guard spec.hasSignatureBeside else {
                if stamps == accepted { return .same }
                return .read(try document.read(), signature: nil, stamps.areYoung(at: now) ? nil : stamps)
            }
            let signature = try OpenFile(signatureOf: spec)
            stamps.signature = signature.stamp
            if stamps == accepted { return .same }
            let held = try signature.read()
            return .read(try document.read(), signature: held, stamps.areYoung(at: now) ? nil : stamps)
        } catch {
            return .failed(error)
        }
    }
}

/// A file that is open to be read.
private struct OpenFile: ~Copyable {
    let path: String
    let descriptor: Int32
    let stamp: FileStamp

    init(_ url: String, _ spec: SourceSpec) throws(StageFailure) {
        guard let path = FileURL.path(of: url) else {
            throw StageFailure(.fetch, "cannot_read", "the URL names no file")
        }
        // Not to wait where somebody has put a pipe.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.unreadable(path, errno) }
        let look = FileStamp.look(at: descriptor)
        guard case .regular(let stamp) = look, stamp.size <= spec.maxAnswerBytes else {
            close(descriptor)
            throw Self.unfit(path, look, spec)
        }
        self.path = path
        self.descriptor = descriptor
        self.stamp = stamp
    }

    /// The signature that lies beside the document of `spec`.
    init(signatureOf spec: SourceSpec) throws(StageFailure) {
        do throws(StageFailure) { self = try OpenFile(spec.signatureBeside.url, spec) } catch {
            throw StageFailure(
                .fetch,
                "unsigned",
                "there is no signature beside the document: \(error.message)",
                hint: "sign it with 'agentctl sign'; if it was signed, somebody has taken the signature away"
            )
        }
    }

    deinit { close(descriptor) }

    private static func unfit(_ path: String, _ look: FileStamp.Look, _ spec: SourceSpec) -> StageFailure {
        switch look {
        case .unreadable(let code): unreadable(path, code)
        case .other: StageFailure(.fetch, "cannot_read", "\(path) is not a regular file")
        case .regular:
            StageFailure(
                .fetch,
                "too_large",
                "the document is larger than the limit of \(spec.maxBytes) bytes",
                hint: "raise 'guard.max_bytes' of source '\(spec.name)' if that is meant"
            )
        }
    }

    func read() throws(StageFailure) -> [UInt8] {
        // One byte beyond what there is: enough to see that the file has grown.
        guard MemoryRoom.has(stamp.size + 1) else { throw .noMemory(.fetch, bytes: stamp.size) }
        let body: [UInt8]
        switch Self.bytes(of: descriptor, count: stamp.size) {
        case .success(let read): body = read
        case .failure(let error): throw Self.unreadable(path, error.code)
        }
        // A file that changed while it was read may be half old and half new.
        guard FileStamp.look(at: path) == .regular(stamp), FileStamp.look(at: descriptor) == .regular(stamp),
            body.count == stamp.size
        else {
            throw StageFailure(
                .fetch,
                "changed_while_read",
                "\(path) changed while it was read",
                hint: "write a new file and rename it over the old one"
            )
        }
        return body
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

    private static func unreadable(_ path: String, _ code: Int32) -> StageFailure {
        StageFailure(
            .fetch,
            "cannot_read",
            "cannot read \(path): \(String(cString: strerror(code)))",
            hint: "check that the file exists and that the agent's user may read it"
        )
    }
}
