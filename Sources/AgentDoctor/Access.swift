internal import Glibc

/// Whether somebody may use a file, worked out from modes as the kernel does. Access lists beside the modes are not
/// looked at.
enum Access {
    /// The three bits that a mode has for each class.
    enum Bits {
        static let read: UInt32 = 4
        static let write: UInt32 = 2
        static let search: UInt32 = 1
    }

    /// What is in the way.
    enum Obstacle: Equatable {
        case missing(String)
        /// This directory, above what is wanted, cannot be entered.
        case closedDirectory(String)
        /// What is wanted is there but may not be used so.
        case closed
        /// Not for us to see.
        case hidden(String)
        case failed(String, Int32)
    }

    /// The first class that fits decides, even where a later one would allow more.
    static func allows(_ bits: UInt32, on facts: FileFacts, to who: Identity) -> Bool {
        if who.user == 0 { return true }
        if facts.owner == who.user { return (facts.mode >> 6) & bits == bits }
        if who.groups.contains(facts.group) { return (facts.mode >> 3) & bits == bits }
        return facts.mode & bits == bits
    }

    /// What keeps `who` from using the file at an absolute path; `nil` when nothing does.
    ///
    /// - Parameter look: how to look at a path; the file system unless a test has another.
    static func obstacle(
        _ bits: UInt32,
        at path: String,
        for who: Identity,
        look: (String) throws(FileFacts.Failure) -> FileFacts = { path throws(FileFacts.Failure) in
            try FileFacts.look(at: path)
        }
    ) -> Obstacle? {
        for directory in directories(above: path) {
            switch Self.look(directory, with: look) {
            case .failure(let obstacle): return obstacle
            case .success(let facts):
                if !allows(Bits.search, on: facts, to: who) { return .closedDirectory(directory) }
            }
        }
        switch Self.look(path, with: look) {
        case .failure(let obstacle): return obstacle
        case .success(let facts): return allows(bits, on: facts, to: who) ? nil : .closed
        }
    }

    /// The same with symbolic links on the way followed first: what counts are the directories they lead through.
    static func realObstacle(_ bits: UInt32, at path: String, for who: Identity) -> Obstacle? {
        // SAFETY: the text is ours until it is freed.
        guard let resolved = realpath(path, nil) else { return obstacle(bits, at: path, for: who) }
        defer { free(resolved) }
        return obstacle(bits, at: String(cString: resolved), for: who)
    }

    /// Whether everyone may read a file: its mode allows it, and every directory on the way lets everyone pass.
    static func isPublic(_ path: String) -> Bool { realObstacle(Bits.read, at: path, for: .others) == nil }

    /// `/`, `/a` and `/a/b` for `/a/b/c`.
    static func directories(above path: String) -> [String] {
        let names = path.split(separator: "/").dropLast()
        var directories = ["/"]
        for name in names {
            directories.append((directories.last == "/" ? "" : directories.last ?? "") + "/" + name)
        }
        return directories
    }

    private enum Look {
        case success(FileFacts)
        case failure(Obstacle)
    }

    private static func look(
        _ path: String,
        with look: (String) throws(FileFacts.Failure) -> FileFacts
    ) -> Look {
        do throws(FileFacts.Failure) {
            return .success(try look(path))
        } catch {
            if error.isMissing { return .failure(.missing(path)) }
            return .failure(error.isForbidden ? .hidden(path) : .failed(path, error.code))
        }
    }
}
