internal import ConfigSnapshot
internal import Glibc

/// A system call that failed, with its path.
public struct FileError: Error, Sendable, Hashable, CustomStringConvertible {
    public let operation: String
    public let path: String
    public let code: Int32

    public var description: String { "cannot \(operation) \(path): \(String(cString: strerror(code)))" }
    public var isMissing: Bool { code == ENOENT }
    /// Whether it may work at another time: what is there is no link, no directory, and not too large.
    var isPassing: Bool { ![ENOENT, ELOOP, EINVAL, EISDIR, ENOTDIR, EFBIG].contains(code) }
}

/// Files that are whole or not there, whatever happens.
enum FileIO {
    /// Replaces the file at `directory/name` by way of a temporary file beside it. When this returns, the new content
    /// would survive a power cut; when it throws, the old content is untouched.
    ///
    /// - Parameter syncsDirectory: `false` for whoever syncs the directory afterwards: until then a power cut may bring the
    ///   old content back.
    static func replace(
        _ name: String,
        in directory: String,
        with parts: [[UInt8]],
        syncsDirectory: Bool = true
    ) throws(FileError) {
        let path = directory + "/" + name
        // One fixed name: whatever a crash leaves behind is overwritten by the next try, and nothing piles up.
        let temporary = directory + "/." + name + ".tmp"
        // What lies there, a link maybe, is not written through.
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw FileError(operation: "create", path: temporary, code: errno) }
        do throws(FileError) {
            defer { close(descriptor) }
            // One left over from elsewhere keeps its mode otherwise.
            guard fchmod(descriptor, 0o600) == 0 else {
                throw FileError(operation: "change the mode of", path: temporary, code: errno)
            }
            for part in parts { try write(part, to: descriptor, path: temporary) }
            guard fsync(descriptor) == 0 else { throw FileError(operation: "sync", path: temporary, code: errno) }
        } catch {
            unlink(temporary)
            throw error
        }
        guard rename(temporary, path) == 0 else {
            let code = errno
            unlink(temporary)
            throw FileError(operation: "rename", path: temporary, code: code)
        }
        if syncsDirectory { try syncDirectory(directory) }
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32, path: String) throws(FileError) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { raw in
                Glibc.write(descriptor, raw.baseAddress.map { $0 + written }, raw.count - written)
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError(operation: "write", path: path, code: errno)
            }
            written += count
        }
    }

    static func syncDirectory(_ directory: String) throws(FileError) {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(operation: "open", path: directory, code: errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw FileError(operation: "sync", path: directory, code: errno) }
    }

    /// The whole file, which must be a regular one of at most `limit` bytes.
    static func read(_ path: String, limit: Int) throws(FileError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { throw FileError(operation: "open", path: path, code: errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileError(operation: "look at", path: path, code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw FileError(operation: "read", path: path, code: EINVAL) }
        guard status.st_size <= limit else { throw FileError(operation: "read", path: path, code: EFBIG) }
        // Not to end where a smaller document could have been served.
        guard MemoryRoom.has(Int(status.st_size)) else {
            throw FileError(operation: "read", path: path, code: ENOMEM)
        }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var filled = 0
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes { raw in
                Glibc.read(descriptor, raw.baseAddress.map { $0 + filled }, raw.count - filled)
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError(operation: "read", path: path, code: errno)
            }
            if count == 0 { break }
            filled += count
        }
        bytes.removeLast(bytes.count - filled)
        return bytes
    }

    /// Makes `path` a directory only this user can look into, if it is not there yet.
    static func makeDirectory(_ path: String) throws(FileError) {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        throw FileError(operation: "make directory", path: path, code: errno)
    }

    /// The names of what is in a directory, in no order.
    static func names(in directory: String) throws(FileError) -> [String] {
        guard let stream = opendir(directory) else { throw FileError(operation: "list", path: directory, code: errno) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            // Nothing but this tells the end from an error.
            errno = 0
            guard let entry = readdir(stream) else { break }
            // SAFETY: an entry is valid until the next call; its name ends with a zero byte.
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        guard errno == 0 else { throw FileError(operation: "list", path: directory, code: errno) }
        return names
    }

    /// Moves a file out of the way, keeping it for whoever wants to look.
    static func setAside(_ path: String) {
        rename(path, path + ".bad")
    }
}
