internal import ConfigSnapshot
internal import Glibc

/// The kernel's change notices for the files of sources. Belongs to the fetch thread; the instance itself may be used from
/// any, because the kernel locks it.
///
/// What is watched is not the file but every directory on the way to it, symbolic links followed, for the one name that
/// leads on: so a file that is put in its place by a rename, a link that is turned to another directory, and a directory
/// that appears only later are all seen, and a file that is written to is seen when it is closed.
final class FileWatcher {
    /// An inotify instance.
    final class Instance: Sendable {
        let descriptor: Int32

        init?() {
            descriptor = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
            if descriptor < 0 { return nil }
        }

        deinit { close(descriptor) }
    }

    let instance: Instance
    private var marks: [SourceName: Set<FileMarks.Mark>] = [:]
    private var sources: [FileMarks.Mark: Set<SourceName>] = [:]

    /// - Returns: `nil` when the system has no instance left for us.
    init?() {
        guard let instance = Instance() else { return nil }
        self.instance = instance
    }

    /// From now on `name` lies where `marks` says.
    ///
    /// - Parameter mayForget: whether watches that nobody needs any more may be given back: not while a read is under way,
    ///   whose thread may have just asked for one of them.
    /// - Returns: whether something has happened there already since the first of the reads under way began.
    func follow(_ name: SourceName, _ new: FileMarks, ofReading id: UInt64, mayForget: Bool) -> Bool {
        forget(name)
        marks[name] = new.marks
        for mark in new.marks { sources[mark, default: []].insert(name) }
        known.formUnion(new.marks.map(\.watch))
        let hasChanged = lostDuring >= id || new.marks.contains { (unclaimed[$0] ?? 0) >= id }
        if mayForget {
            giveBack()
            unclaimed = [:]
            lostDuring = 0
        }
        return hasChanged
    }

    /// What has happened at places that nobody follows: a read that is under way may have just begun to.
    /// With the number of the newest read at that time: what had happened before a read began, it has seen.
    private var unclaimed: [FileMarks.Mark: UInt64] = [:]
    /// The newest read when there was no room for one more.
    private var lostDuring: UInt64 = 0
    private static let mostUnclaimed = 4_096

    func forget(_ name: SourceName) {
        for mark in marks.removeValue(forKey: name) ?? [] {
            sources[mark]?.remove(name)
            if sources[mark]?.isEmpty == true { sources[mark] = nil }
        }
    }

    private var known: Set<Int32> = []

    private func giveBack() {
        let needed = Set(sources.keys.map(\.watch))
        for watch in known.subtracting(needed) { inotify_rm_watch(instance.descriptor, watch) }
        known = needed
    }

    /// The sources whose files may have changed since the last time.
    ///
    /// - Parameter reading: the number of the newest read.
    func changes(reading: UInt64) -> Set<SourceName> {
        var changed: Set<SourceName> = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        // Bounded: what comes after this many is told in the next turn of the loop.
        for _ in 0..<16 {
            let length = read(instance.descriptor, &buffer, buffer.count)
            guard length > 0 else { break }
            buffer.withUnsafeBytes { bytes in
                var offset = 0
                while offset + 16 <= length {
                    let watch = bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self)
                    let mask = bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
                    let nameLength = Int(bytes.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self))
                    let text = bytes[(offset + 16)..<min(offset + 16 + nameLength, length)].prefix { $0 != 0 }
                    changed.formUnion(affected(watch, mask, String(decoding: text, as: UTF8.self), reading))
                    offset += 16 + nameLength
                }
            }
        }
        return changed
    }

    private func affected(
        _ watch: Int32,
        _ mask: UInt32,
        _ name: String,
        _ reading: UInt64
    ) -> Set<SourceName> {
        // The kernel has lost some: whatever is watched may have changed.
        if mask & UInt32(IN_Q_OVERFLOW) != 0 { return Set(marks.keys) }
        // The directory itself is gone or has moved.
        if mask & UInt32(IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF) != 0 {
            // One that has moved is watched until it is given back.
            if mask & UInt32(IN_IGNORED) != 0 { known.remove(watch) }
            return Set(sources.filter { $0.key.watch == watch }.values.joined())
        }
        let mark = FileMarks.Mark(watch: watch, name: name)
        if let affected = sources[mark] { return affected }
        if unclaimed.count < Self.mostUnclaimed || unclaimed[mark] != nil {
            unclaimed[mark] = reading
        } else {
            lostDuring = reading
        }
        return []
    }
}

/// Where a file lies: a watched directory and a name in it for each step of the way. Placed on the thread that reads the
/// file, because a look at a dead mount may hang.
struct FileMarks: Sendable {
    struct Mark: Hashable, Sendable {
        let watch: Int32
        let name: String
    }

    private(set) var marks: Set<Mark> = []
    /// Why the file is not watched as a whole.
    private(set) var failure: StageFailure?

    /// As many as the kernel follows.
    private static let mostLinks = 40

    private static let interest = UInt32(
        IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE
            | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
    )

    /// Watches the way to each of the files that `urls` name, as far as there is one.
    static func place(on urls: [String], with instance: FileWatcher.Instance) -> FileMarks {
        var marks = FileMarks()
        for path in urls.compactMap({ FileURL.path(of: $0) }) { marks.place(on: path, instance) }
        return marks
    }

    private mutating func place(on path: String, _ instance: FileWatcher.Instance) {
        var steps = path.split(separator: "/").map(String.init)[...]
        var directory = ""
        var linksLeft = Self.mostLinks
        while let step = steps.popFirst() {
            if step == "." { continue }
            if step == ".." {
                directory = String(directory[..<(directory.lastIndex(of: "/") ?? directory.startIndex)])
                continue
            }
            guard watch(directory, step, instance) else { return }
            let here = "\(directory)/\(step)"
            guard let target = Self.linkTarget(here) else {
                directory = here
                continue
            }
            linksLeft -= 1
            if linksLeft == 0 { return }
            if target.hasPrefix("/") { directory = "" }
            steps = (target.split(separator: "/").map(String.init) + steps)[...]
        }
    }

    /// - Returns: `false` where the way ends.
    private mutating func watch(_ directory: String, _ name: String, _ instance: FileWatcher.Instance) -> Bool {
        let watch = inotify_add_watch(instance.descriptor, directory.isEmpty ? "/" : directory, Self.interest)
        if watch >= 0 {
            marks.insert(Mark(watch: watch, name: name))
            return true
        }
        // A directory that may be passed through but not be read cannot be watched; the way goes on behind it.
        if errno == EACCES {
            failure = StageFailure(
                .fetch,
                "not_watchable",
                "the directory \(directory.isEmpty ? "/" : directory) may not be read, so changes in it are not seen",
                hint: "let the agent's user read it; until then the file is polled"
            )
            return true
        }
        if errno == ENOSPC {
            failure = StageFailure(
                .fetch,
                "no_watches",
                "the system has no more watches for files",
                hint: "raise fs.inotify.max_user_watches (sysctl); until then the file is polled"
            )
        }
        return false
    }

    /// Where the symbolic link leads; `nil` for anything else.
    private static func linkTarget(_ path: String) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
            guard let start = buffer.baseAddress else { return nil }
            let length = readlink(path, start, buffer.count)
            guard length > 0 else { return nil }
            return String(decoding: UnsafeRawBufferPointer(start: start, count: length), as: UTF8.self)
        }
    }
}
