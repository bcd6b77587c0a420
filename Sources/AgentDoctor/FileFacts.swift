internal import Glibc

/// What the file system says of a path.
struct FileFacts: Sendable, Equatable {
    enum Kind: Sendable, Equatable {
        case file, directory, socket, other

        var name: String {
            switch self {
            case .file: "a regular file"
            case .directory: "a directory"
            case .socket: "a socket"
            case .other: "something else"
            }
        }
    }

    /// Why a path could not be looked at.
    struct Failure: Error, Equatable {
        var code: Int32

        var isMissing: Bool { code == ENOENT || code == ENOTDIR }
        /// It may well be fine, but not for us to see.
        var isForbidden: Bool { code == EACCES || code == EPERM }
        var text: String { SystemText.error(code) }
    }

    var kind: Kind
    /// The twelve bits that `chmod` sets.
    var mode: UInt32
    var owner: UInt32
    var group: UInt32
    var size = 0

    /// Looks through symbolic links, as opening does.
    static func look(at path: String) throws(Failure) -> FileFacts {
        var status = stat()
        guard stat(path, &status) == 0 else { throw Failure(code: errno) }
        return FileFacts(status)
    }

    /// Whether two paths lead to one file.
    static func areSame(_ left: String, _ right: String) -> Bool {
        var first = stat()
        var second = stat()
        guard left != right, stat(left, &first) == 0, stat(right, &second) == 0 else { return left == right }
        return first.st_dev == second.st_dev && first.st_ino == second.st_ino
    }

    private init(_ status: stat) {
        switch status.st_mode & S_IFMT {
        case S_IFREG: kind = .file
        case S_IFDIR: kind = .directory
        case S_IFSOCK: kind = .socket
        default: kind = .other
        }
        mode = status.st_mode & 0o7777
        owner = status.st_uid
        group = status.st_gid
        size = Int(status.st_size)
    }

    init(kind: Kind, mode: UInt32, owner: UInt32, group: UInt32) {
        self.kind = kind
        self.mode = mode
        self.owner = owner
        self.group = group
    }
}

/// Files as doctor reads them: bounded, and never waiting.
enum SmallFile {
    /// The whole of a regular file of at most `limit` bytes; what the kernel makes up has no size and is read too.
    static func read(_ path: String, limit: Int) throws(FileFacts.Failure) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw FileFacts.Failure(code: errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileFacts.Failure(code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw FileFacts.Failure(code: EINVAL) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            // SAFETY: `read` writes no more than the buffer holds.
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw FileFacts.Failure(code: errno) }
            if count == 0 { return bytes }
            bytes.append(contentsOf: chunk[..<count])
            guard bytes.count <= limit else { throw FileFacts.Failure(code: EFBIG) }
        }
    }

    /// The text of a small file; `nil` when it cannot be read.
    static func text(_ path: String, limit: Int = 1 << 16) -> String? {
        (try? read(path, limit: limit)).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The names in a directory, in the order of their bytes.
    static func names(in directory: String) throws(FileFacts.Failure) -> [String] {
        guard let stream = opendir(directory) else { throw FileFacts.Failure(code: errno) }
        defer { closedir(stream) }
        var names: [String] = []
        // SAFETY: an entry is valid until the next call; its name ends with a zero byte.
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
}
