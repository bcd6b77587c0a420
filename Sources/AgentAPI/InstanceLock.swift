internal import Glibc

/// The lock by which one agent at a time owns a runtime directory, and by which others see that it is alive.
///
/// It is a write lock of the open file description (not of the process: closing some other descriptor of the same
/// file does not lose it) on a file that stays when the holder ends. The kernel lets go of it when the holder dies,
/// however that happens. Looking at it starts nothing, whereas connecting to a socket may.
public final class InstanceLock: Sendable {
    private let descriptor: Int32

    private init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// What ``acquire(path:)`` came to.
    public enum Acquisition: Sendable {
        /// Held until the object is gone.
        case acquired(InstanceLock)
        /// Another agent has it.
        case heldByAnother(pid: Int32?)
        /// A system call failed.
        case failed(operation: String, errno: Int32)
    }

    /// Takes the lock without waiting for its holder, making the file if need be, and writes the process id into it.
    public static func acquire(path: String) -> Acquisition {
        // Everyone may read the file, so everyone may take a *read* lock on it and keep an agent from starting. Such
        // a file is put aside for a new one, which is safe only while no other agent starts: hence the gate, which
        // nobody else can open.
        let gate = open(path + ".start", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard gate >= 0 else { return .failed(operation: "open", errno: errno) }
        defer { close(gate) }
        var gateRange = wholeFile(Int16(F_WRLCK))
        while fcntl(gate, setLockAndWaitCommand, &gateRange) != 0 {
            guard errno == EINTR else { return .failed(operation: "lock", errno: errno) }
        }
        for _ in 0..<8 {
            if let result = attempt(path) { return result }
        }
        return .failed(operation: "lock", errno: EBUSY)
    }

    /// - Returns: `nil` when there was a read lock, and the file was removed for it.
    private static func attempt(_ path: String) -> Acquisition? {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { return .failed(operation: "open", errno: errno) }
        let lock = InstanceLock(descriptor: descriptor)
        var range = wholeFile(Int16(F_WRLCK))
        if fcntl(descriptor, setLockCommand, &range) == 0 {
            lock.writeProcessID()
            return .acquired(lock)
        }
        guard errno == EAGAIN || errno == EACCES else { return .failed(operation: "lock", errno: errno) }
        range = wholeFile(Int16(F_WRLCK))
        guard fcntl(descriptor, getLockCommand, &range) == 0 else { return .failed(operation: "lock", errno: errno) }
        if range.l_type == Int16(F_WRLCK) { return .heldByAnother(pid: readProcessID(descriptor)) }
        if range.l_type == Int16(F_RDLCK), unlink(path) != 0 { return .failed(operation: "unlink", errno: errno) }
        return nil
    }

    /// What ``probe(path:)`` found.
    public enum Probe: Sendable, Hashable {
        /// An agent lives.
        case held(pid: Int32?)
        /// The file is there, but nobody holds it: no agent lives.
        case free
        /// There is no such file: no agent lives.
        case missing
        /// The file may not be read, so nothing can be said.
        case noPermission
        /// A system call failed, so nothing can be said.
        case failed(operation: String, errno: Int32)
    }

    /// Looks whether somebody holds the lock; takes nothing, changes nothing, and needs only to read.
    public static func probe(path: String) -> Probe {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            switch errno {
            case ENOENT, ENOTDIR: return .missing
            case EACCES, EPERM: return .noPermission
            default: return .failed(operation: "open", errno: errno)
            }
        }
        defer { close(descriptor) }
        var range = wholeFile(Int16(F_RDLCK))
        guard fcntl(descriptor, getLockCommand, &range) == 0 else { return .failed(operation: "lock", errno: errno) }
        return range.l_type == Int16(F_UNLCK) ? .free : .held(pid: readProcessID(descriptor))
    }

    // Linux's numbers on every architecture; glibc shows the names only to _GNU_SOURCE.
    private static let getLockCommand: Int32 = 36
    private static let setLockCommand: Int32 = 37
    private static let setLockAndWaitCommand: Int32 = 38

    // OTHER LOCK: between processes; no thread waits for another of the agent's, and but for a start nobody waits at all.
    private static func wholeFile(_ type: Int16) -> flock {
        var range = flock()  // OTHER LOCK: as above.
        range.l_type = type
        range.l_whence = Int16(SEEK_SET)
        return range
    }

    /// The kernel does not tell who holds a lock of this kind, so the holder writes it down.
    private func writeProcessID() {
        // Everyone may look, whatever the umask.
        fchmod(descriptor, 0o644)
        let text = Array("\(getpid())\n".utf8)
        guard ftruncate(descriptor, 0) == 0 else { return }
        // A file without a number still works as a lock.
        _ = pwrite(descriptor, text, text.count, 0)
    }

    private static func readProcessID(_ descriptor: Int32) -> Int32? {
        var text = [UInt8](repeating: 0, count: 16)
        let length = pread(descriptor, &text, text.count, 0)
        guard length > 0 else { return nil }
        return Int32(String(decoding: text.prefix(length).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
    }
}
