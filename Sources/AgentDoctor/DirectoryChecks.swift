internal import AgentAPI
internal import AgentConfiguration
internal import Glibc

/// The agent's two directories: sockets in one, stored copies in the other.
enum DirectoryChecks {
    static func run(_ scene: Scene) -> [Check] {
        runtime(scene) + (scene.configuration.map { state($0.stateDirectory, scene) } ?? [])
    }

    // MARK: For the sockets

    private static func runtime(_ scene: Scene) -> [Check] {
        let path = scene.paths.runtimeDirectory
        let facts: FileFacts
        do throws(FileFacts.Failure) {
            facts = try FileFacts.look(at: path)
        } catch {
            var check = unseen("runtime_dir.exists", path, error, make: runtimeRemedy(path))
            // The agent makes it at its start, but for the one that the unit needs before.
            if error.isMissing, !scene.isOfService { check.result = .warn }
            return [check]
        }
        guard facts.kind == .directory else {
            return [notDirectory("runtime_dir.exists", path, facts, "runtime_dir")]
        }
        if let check = judgeRuntime(path, facts) { return [check] }
        let wall = Access.directories(above: path).first { directory in
            (try? FileFacts.look(at: directory)).map { !Access.allows(Access.Bits.search, on: $0, to: .others) }
                ?? false
        }
        if let wall {
            return [
                Check(
                    "runtime_dir.reach",
                    path,
                    .fail,
                    "others may not enter \(wall), so no service of another user reaches the sockets",
                    advice: "chmod o+x \(wall), or choose another runtime_dir"
                )
            ]
        }
        return [Check("runtime_dir.mode", path, .ok, "a directory that everyone may enter and only its owner change")]
    }

    private static func runtimeRemedy(_ path: String) -> String {
        path == AgentPaths.defaultRuntimeDirectory
            ? "systemd-tmpfiles --create config-agent.conf"
            : "make it for the agent's user: install -d -m 0755 -o agent -g agent \(path)"
    }

    static func judgeRuntime(_ path: String, _ facts: FileFacts) -> Check? {
        let mode = SystemText.octal(facts.mode)
        if facts.mode & 0o002 != 0 {
            return Check(
                "runtime_dir.mode",
                path,
                .fail,
                "everyone may change it (mode \(mode)): anybody can put a socket of their own in place of the agent's",
                advice: "chmod 0755 \(path)"
            )
        }
        if facts.mode & 0o001 == 0 {
            return Check(
                "runtime_dir.mode",
                path,
                .fail,
                "others may not enter it (mode \(mode)), so no service of another user reaches the sockets",
                advice: "chmod 0755 \(path)"
            )
        }
        return nil
    }

    // MARK: For the stored copies

    private static func state(_ path: String, _ scene: Scene) -> [Check] {
        let facts: FileFacts
        do throws(FileFacts.Failure) {
            facts = try FileFacts.look(at: path)
        } catch {
            let make = "install -d -m 0750 -o agent -g agent \(path) (with systemd, the unit's StateDirectory= does it)"
            var check = unseen("state_dir.exists", path, error, make: make)
            // The agent makes it at its first start.
            if error.isMissing, !scene.isRunning { check.result = .warn }
            return [check]
        }
        guard facts.kind == .directory else { return [notDirectory("state_dir.exists", path, facts, "state_dir")] }
        var checks: [Check] = []
        if let service = scene.service {
            if let check = judgeOwner(path, facts, service, ownerName: Accounts.name(ofUser:)) { checks.append(check) }
            if let check = writable(path, service) { checks.append(check) }
        } else {
            let found = "no agent runs, and nobody knows as which user it would, so nobody to compare its owner with"
            checks.append(Check("state_dir.owner", path, .skip, found))
        }
        if let check = judgePrivate(path, facts) { checks.append(check) }
        checks += space(path)
        if checks.isEmpty {
            checks.append(Check("state_dir.usable", path, .ok, "the agent's own, writable, with room"))
        }
        return checks + setAside(path)
    }

    static func judgeOwner(
        _ path: String,
        _ facts: FileFacts,
        _ service: Identity,
        ownerName: (UInt32) -> String?
    ) -> Check? {
        guard facts.owner != service.user else { return nil }
        let owner = ownerName(facts.owner) ?? "user \(facts.owner)"
        return Check(
            "state_dir.owner",
            path,
            .fail,
            "it belongs to \(owner), and the agent runs as \(service.name)",
            advice: "chown -R \(service.name): \(path)"
        )
    }

    static func judgePrivate(_ path: String, _ facts: FileFacts) -> Check? {
        guard facts.mode & 0o007 != 0 else { return nil }
        let mode = SystemText.octal(facts.mode)
        let mayWrite = facts.mode & 0o002 != 0
        return Check(
            "state_dir.private",
            path,
            mayWrite ? .fail : .warn,
            "others may \(mayWrite ? "change" : "look into") it (mode \(mode)), and configuration values are kept there",
            advice: "chmod 0750 \(path)"
        )
    }

    private static func writable(_ path: String, _ service: Identity) -> Check? {
        let closed: String
        switch Access.realObstacle(Access.Bits.write | Access.Bits.search, at: path, for: service) {
        case .closed: closed = "may not write into it"
        case .closedDirectory(let directory): closed = "may not enter \(directory)"
        case nil, .missing, .hidden, .failed: return nil
        }
        return Check(
            "state_dir.writable",
            path,
            .fail,
            "the agent's user \(service.name) \(closed)",
            advice: "chown -R \(service.name): \(path) && chmod 0750 \(path), and let it enter the directories above"
        )
    }

    private static func space(_ path: String) -> [Check] {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else {
            return [Check("state_dir.space", path, .skip, "statvfs: \(SystemText.error(errno))")]
        }
        if status.f_flag & UInt(ST_RDONLY) != 0 {
            return [
                Check(
                    "state_dir.writable",
                    path,
                    .fail,
                    "its file system is mounted read-only",
                    advice:
                        "see with dmesg why; then: mount -o remount,rw on the file system that findmnt -T \(path) names"
                )
            ]
        }
        let block = UInt64(status.f_frsize)
        let room = Room(
            freeBytes: UInt64(status.f_bavail) * block,
            allBytes: UInt64(status.f_blocks) * block,
            freeFiles: UInt64(status.f_favail),
            allFiles: UInt64(status.f_files)
        )
        return judgeSpace(path, room).map { [$0] } ?? []
    }

    /// What a file system has left for those who are not root.
    struct Room: Equatable {
        var freeBytes: UInt64
        var allBytes: UInt64
        var freeFiles: UInt64
        /// 0 where the file system does not count files.
        var allFiles: UInt64
    }

    static func judgeSpace(_ path: String, _ room: Room) -> Check? {
        let advice = "make room on the file system of \(path): df -h \(path); du -xh --max-depth=1 \(path)"
        if room.allFiles > 0, room.freeFiles == 0 {
            let files = "make room: its file system has no inode left for another file: df -i \(path)"
            return Check("state_dir.space", path, .fail, "no file can be made: all inodes are in use", advice: files)
        }
        let free = SystemText.size(room.freeBytes)
        if room.freeBytes < 16 << 20 {
            return Check("state_dir.space", path, .fail, "only \(free) are free", advice: advice)
        }
        if room.freeBytes < room.allBytes / 10 {
            let found = "\(free) are free, less than a tenth of \(SystemText.size(room.allBytes))"
            return Check("state_dir.space", path, .warn, found, advice: advice)
        }
        return nil
    }

    /// The agent moves a stored copy that it cannot use out of the way.
    private static func setAside(_ path: String) -> [Check] {
        let directory = path + "/documents"
        let names: [String]
        do throws(FileFacts.Failure) {
            names = try SmallFile.names(in: directory)
        } catch {
            if error.isMissing { return [] }
            return [Check("stored.set_aside", directory, .skip, "cannot look: \(error.text)", advice: Doctor.asRoot)]
        }
        return names.filter { $0.hasSuffix(".bad") }.map { name in
            Check(
                "stored.set_aside",
                "\(directory)/\(name)",
                .warn,
                "the stored copy of source \(name.dropLast(4)) could not be used and was set aside",
                advice: "look for a failing disk (dmesg, journalctl -k); then remove the file: rm \(directory)/\(name)"
            )
        }
    }

    // MARK: Both

    private static func unseen(_ id: String, _ path: String, _ error: FileFacts.Failure, make: String) -> Check {
        if error.isMissing { return Check(id, path, .fail, "there is no such directory", advice: make) }
        if error.isForbidden { return Check(id, path, .skip, "no permission to look at it", advice: Doctor.asRoot) }
        return Check(id, path, .fail, "cannot be looked at: \(error.text)", advice: "see what dmesg says of this disk")
    }

    private static func notDirectory(_ id: String, _ path: String, _ facts: FileFacts, _ key: String) -> Check {
        Check(
            id,
            path,
            .fail,
            "it is \(facts.kind.name), not a directory",
            advice: "move it away, or give '\(key)' another path in the agent's configuration"
        )
    }
}
