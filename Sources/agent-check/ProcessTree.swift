internal import Glibc

/// What a process and all that came of it use.
enum ProcessTree {
    private struct Facts {
        var parent: pid_t
        var pages: Int
    }

    /// Bytes in memory of all processes below `root`. Those that come and go meanwhile may be missed.
    static func residentBytes(below root: pid_t) -> Int {
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
        for (pid, facts) in all where descends(pid, from: root, all) { pages += facts.pages }
        return pages * sysconf(Int32(_SC_PAGESIZE))
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
