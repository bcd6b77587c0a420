internal import Glibc

/// The agent's configuration on disk.
enum ConfigurationFiles {
    struct File: Sendable {
        var name: String
        var bytes: [UInt8]
    }

    static let maxBytes = 1 << 20

    /// The file at `path`, or those in the directory at `path`.
    static func read(_ path: String) throws(ConfigurationErrors) -> [File] {
        var status = stat()
        guard stat(path, &status) == 0 else { throw ConfigurationErrors([unreadable(path, errno)]) }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            do throws(ConfigurationError) {
                return [File(name: path, bytes: try bytes(of: path))]
            } catch {
                throw ConfigurationErrors([error])
            }
        }
        let names: [String]
        do throws(ConfigurationError) {
            names = try list(path) { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }
        } catch {
            throw ConfigurationErrors([error])
        }
        guard !names.isEmpty else {
            throw ConfigurationErrors([
                problem(path, "the directory holds no .yaml or .yml file", "add one, or name a file")
            ])
        }
        var files: [File] = []
        var errors: [ConfigurationError] = []
        for name in names {
            do throws(ConfigurationError) {
                files.append(File(name: name, bytes: try bytes(of: name)))
            } catch {
                errors.append(error)
            }
        }
        if !errors.isEmpty { throw ConfigurationErrors(errors) }
        return files
    }

    /// The files of a directory that are wanted and not hidden, with their paths, in the order of the bytes of their names.
    static func list(_ directory: String, _ isWanted: (String) -> Bool) throws(ConfigurationError) -> [String] {
        guard let stream = opendir(directory) else { throw unreadable(directory, errno) }
        defer { closedir(stream) }
        var names: [String] = []
        // SAFETY: an entry is valid until the next call; its name ends with a zero byte.
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix("."), isWanted(name) { names.append(name) }
        }
        names.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        return names.map { directory.hasSuffix("/") ? directory + $0 : directory + "/" + $0 }
    }

    /// - Parameter limit: of a file that the configuration names; `nil` for one of its own.
    static func bytes(of path: String, limit: Int? = nil) throws(ConfigurationError) -> [UInt8] {
        // Not to wait for ever where somebody has put a pipe.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw unreadable(path, errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw unreadable(path, errno) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            let advice = limit == nil ? "name a YAML file or a directory of them" : "name a file"
            throw problem(path, "not a regular file", advice)
        }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            // SAFETY: `read` writes no more than the buffer holds.
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw unreadable(path, errno) }
            if count == 0 { return bytes }
            bytes.append(contentsOf: chunk[..<count])
            guard bytes.count <= limit ?? maxBytes else {
                throw problem(
                    path,
                    "larger than \(ByteSize.text(limit ?? maxBytes))",
                    limit == nil ? "this cannot be the agent's configuration" : "see whether it is the right file"
                )
            }
        }
    }

    private static func unreadable(_ path: String, _ code: Int32) -> ConfigurationError {
        // SAFETY: glibc keeps this text until the thread's next call.
        let text = String(cString: strerror(code))
        let advice =
            switch code {
            case EACCES, EPERM: "let the agent's user read it, and enter the directories above it"
            case ENOENT, ENOTDIR, ELOOP: "put it there, or mend the path"
            default: "see whether the disk and its file system are in order"
            }
        return problem(path, ConfigurationError.unreadable + text, advice)
    }

    private static func problem(_ path: String, _ what: String, _ advice: String?) -> ConfigurationError {
        ConfigurationError(file: path, line: nil, column: nil, key: "", what: what, advice: advice)
    }
}
