internal import Glibc

/// What a process and all that came of it use.
///
/// Memory that processes share counts once for each that has it, and whole, for it stays when it is not looked at.
enum ProcessTree {
    private struct Facts {
        var parent: pid_t
        var pages: Int
    }

    /// Bytes of memory that all processes below `root` take. Those that come and go meanwhile may be missed.
    static func bytes(below root: pid_t) -> Int {
        guard let directory = opendir("/proc") else { return 0 }
        defer { closedir(directory) }
        var all: [pid_t: Facts] = [:]
        // SAFETY: an entry is valid until the next call; its name ends with a zero byte.
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let pid = pid_t(name), let found = facts(of: name) { all[pid] = found }
        }
        var pages = 0
        var others = 0
        for (pid, facts) in all where descends(pid, from: root, all) {
            pages += facts.pages
            others += tableBytes(of: pid) + sharedBytes(of: pid)
        }
        return pages * sysconf(Int32(_SC_PAGESIZE)) + others
    }

    /// Of the tables that say where its memory is.
    private static func tableBytes(of pid: pid_t) -> Int {
        let lines = lines(of: "/proc/\(pid)/status", limit: 4_096)
        guard let line = lines.first(where: { $0.hasPrefix("VmPTE:") }) else { return 0 }
        return (line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) << 10
    }

    /// Of mappings without a file that are shared with whoever comes of it.
    private static func sharedBytes(of pid: pid_t) -> Int {
        lines(of: "/proc/\(pid)/maps", limit: 1 << 20).filter { $0.hasSuffix("/dev/zero (deleted)") }.reduce(0) {
            sum,
            line in
            let ends = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
            return sum + (ends.count == 2 && ends[1] > ends[0] ? Int(clamping: ends[1] - ends[0]) : 0)
        }
    }

    private static func lines(of path: String, limit: Int) -> [Substring] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 14)
        while bytes.count < limit {
            let count = read(file, &chunk, chunk.count)
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    }

    private static func descends(_ pid: pid_t, from root: pid_t, _ all: [pid_t: Facts]) -> Bool {
        var pid = pid
        // As they were seen one after the other, they may seem to go round.
        for _ in 0..<64 {
            guard let parent = all[pid]?.parent else { return false }
            if parent == root { return true }
            pid = parent
        }
        return false
    }

    /// By the line in its `stat`: the parent is the second field behind the name, the pages the 22nd.
    private static func facts(of name: String) -> Facts? {
        let file = open("/proc/\(name)/stat", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var line = [UInt8](repeating: 0, count: 1_024)
        let count = read(file, &line, line.count)
        guard count > 0, let end = line[..<count].lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = line[(end + 1)..<count].split(separator: UInt8(ascii: " "))
        guard fields.count > 21, let parent = pid_t(String(decoding: fields[1], as: UTF8.self)),
            let pages = Int(String(decoding: fields[21], as: UTF8.self))
        else { return nil }
        return Facts(parent: parent, pages: pages)
    }
}
