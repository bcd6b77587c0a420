internal import Glibc

/// A user with its groups: whom the kernel asks for when a file is opened.
struct Identity: Sendable, Equatable {
    var user: UInt32
    var groups: Set<UInt32>
    /// For people.
    var name: String

    /// Anybody who is neither a file's owner nor in its group.
    static let others = Identity(user: .max, groups: [], name: "others")

    /// The user that a process runs as; `nil` when it is gone or its facts are hidden.
    static func ofProcess(_ pid: Int32) -> Identity? {
        guard let text = SmallFile.text("/proc/\(pid)/status") else { return nil }
        return parse(processStatus: text) { Accounts.name(ofUser: $0) }
    }

    /// - Parameter text: `/proc/PID/status`. Of the four numbers the second is the effective one.
    static func parse(processStatus text: String, name: (UInt32) -> String?) -> Identity? {
        func numbers(_ field: String) -> [UInt32] {
            let line = text.split(separator: "\n").first { $0.hasPrefix(field + ":") }
            return line.map { $0.dropFirst(field.count + 1).split { $0 == "\t" || $0 == " " } }?
                .compactMap { UInt32($0) } ?? []
        }
        let users = numbers("Uid")
        let groups = numbers("Gid")
        guard users.count == 4, groups.count == 4 else { return nil }
        let user = users[1]
        return Identity(
            user: user,
            groups: Set(numbers("Groups") + [groups[1]]),
            name: name(user) ?? "user \(user)"
        )
    }
}

/// The host's users and groups.
enum Accounts {
    static func user(named name: String) -> Identity? {
        // SAFETY: the entry is the C library's until the next call; all that is kept is copied here, on one thread.
        guard let entry = getpwnam(name)?.pointee else { return nil }
        var groups = [gid_t](repeating: 0, count: 256)
        var count = Int32(groups.count)
        // With more groups than that the first ones will do: the count then says how many there are.
        _ = getgrouplist(name, entry.pw_gid, &groups, &count)
        let known = groups.prefix(max(0, min(Int(count), groups.count)))
        return Identity(user: entry.pw_uid, groups: Set(known + [entry.pw_gid]), name: name)
    }

    static func name(ofUser id: UInt32) -> String? {
        // SAFETY: copied at once.
        getpwuid(id).map { String(cString: $0.pointee.pw_name) }
    }

    static func group(named name: String) -> UInt32? {
        // SAFETY: a number is copied at once.
        getgrnam(name)?.pointee.gr_gid
    }

    static func name(ofGroup id: UInt32) -> String {
        // SAFETY: copied at once.
        getgrgid(id).map { String(cString: $0.pointee.gr_name) } ?? "group \(id)"
    }
}
