internal import Glibc

/// Whether there is memory for something large, asked before it is taken: to run out of memory half way ends a Swift
/// process, and with it every reader.
public enum MemoryRoom {
    /// Below this nobody asks.
    public static let worthAsking = 1 << 20
    /// What everything else in the process may need meanwhile.
    private static let reserve = 32 << 20

    /// What a document of `bytes` bytes (at most 1 GiB) takes at the most while it is decoded, merged and indexed.
    public static func forDecoding(_ bytes: Int) -> Int { 8 * bytes }

    /// Whether `bytes` bytes could be taken now, by this process's limits and by those of its control group.
    public static func has(_ bytes: Int) -> Bool {
        guard bytes >= worthAsking else { return true }
        let wanted = bytes + reserve
        let probe = mmap(nil, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        // SAFETY: the mapping is new, never touched, and unmapped whole.
        guard let probe, probe != MAP_FAILED else { return false }
        munmap(probe, wanted)
        return ControlGroup.own.map { $0.hasRoom(for: wanted) } ?? true
    }
}

/// The control group that this process was started in, as far as it limits memory.
struct ControlGroup: Sendable {
    let limitPath: String
    let usagePath: String
    let statisticsPath: String
    /// The name of that part of the usage which the kernel gives up when it is needed.
    let reclaimableName: String

    static let own = ControlGroup(listing: text(of: "/proc/self/cgroup") ?? "", root: "/sys/fs/cgroup")

    /// - Parameter listing: as in `/proc/PID/cgroup`.
    init?(listing: String, root: String) {
        for line in listing.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let name = parts[2] == "/" ? "" : parts[2]
            if parts[1].split(separator: ",").contains("memory") {
                limitPath = "\(root)/memory\(name)/memory.limit_in_bytes"
                usagePath = "\(root)/memory\(name)/memory.usage_in_bytes"
                statisticsPath = "\(root)/memory\(name)/memory.stat"
                reclaimableName = "total_inactive_file"
                return
            }
            if parts[0] == "0", parts[1].isEmpty, !listing.contains(":memory:") {
                limitPath = "\(root)\(name)/memory.max"
                usagePath = "\(root)\(name)/memory.current"
                statisticsPath = "\(root)\(name)/memory.stat"
                reclaimableName = "inactive_file"
                return
            }
        }
        return nil
    }

    /// Where nothing can be read, or nothing is limited, there is room.
    func hasRoom(for bytes: Int) -> Bool {
        guard let limit = Self.number(in: limitPath), let used = Self.number(in: usagePath) else { return true }
        let reclaimable = Self.text(of: statisticsPath).flatMap { Self.value(of: reclaimableName, in: $0) } ?? 0
        return limit - max(0, used - reclaimable) >= bytes
    }

    static func value(of name: String, in statistics: String) -> Int? {
        for line in statistics.split(separator: "\n") {
            let parts = line.split(separator: " ")
            if parts.count == 2, parts[0] == name { return Int(parts[1]) }
        }
        return nil
    }

    /// `nil` for `max` too, which is no limit.
    private static func number(in path: String) -> Int? {
        text(of: path).flatMap { Int($0.prefix { $0 != "\n" }) }
    }

    private static func text(of path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 16_384)
        // SAFETY: reads no more than the buffer holds, during the call only.
        let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
    }
}
