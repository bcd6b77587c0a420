internal import Glibc

/// Whether a file is still the one that was read: everything that changes when its content does.
public struct FileStamp: Equatable, Sendable {
    let device: UInt
    let inode: UInt
    let size: Int
    let modified: Int64
    let changed: Int64

    public enum Look: Equatable, Sendable {
        case regular(FileStamp)
        /// No regular file: a directory, say. Changes of what is in a directory are seen.
        case other(FileStamp)
        case unreadable(errno: Int32)
    }

    /// Looks through symbolic links, as reading does.
    public static func look(at path: String) -> Look {
        var status = stat()
        return stat(path, &status) == 0 ? look(status) : .unreadable(errno: errno)
    }

    /// The same for a file that is open.
    static func look(at descriptor: Int32) -> Look {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? look(status) : .unreadable(errno: errno)
    }

    private static func look(_ status: stat) -> Look {
        // Somebody may have set it to the end of time; only that it is another one matters.
        func nanoseconds(_ time: timespec) -> Int64 { Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec) }
        let stamp = FileStamp(
            device: UInt(status.st_dev),
            inode: UInt(status.st_ino),
            size: Int(status.st_size),
            modified: nanoseconds(status.st_mtim),
            changed: nanoseconds(status.st_ctim)
        )
        return status.st_mode & S_IFMT == S_IFREG ? .regular(stamp) : .other(stamp)
    }
}
