import AgentAPI
import Glibc
import Testing

@Suite struct InstanceLockTests {
    /// A lock file in a directory of its own.
    private func withPath(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/instance-lock-XXXXXX".utf8CString)
        _ = try #require(mkdtemp(&template))
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            for name in ["agentd.lock", "agentd.lock.start"] { unlink("\(directory)/\(name)") }
            rmdir(directory)
        }
        try body("\(directory)/agentd.lock")
    }

    private func acquired(_ path: String) throws -> InstanceLock {
        guard case .acquired(let lock) = InstanceLock.acquire(path: path) else {
            throw Unexpected()
        }
        return lock
    }

    private struct Unexpected: Error {}

    /// Locks an open file, in the way and with the numbers of the kernel.
    private func lock(_ descriptor: Int32, _ type: Int32) -> Bool {
        var range = flock()
        range.l_type = Int16(type)
        return fcntl(descriptor, 37, &range) == 0
    }

    @Test func isSeenWhileItIsHeld() throws {
        try withPath { path in
            #expect(InstanceLock.probe(path: path) == .missing)
            do {
                let lock = try acquired(path)
                #expect(InstanceLock.probe(path: path) == .held(pid: getpid()))
                // Looking does not take it away, and another does not get it.
                guard case .heldByAnother(pid: getpid()) = InstanceLock.acquire(path: path) else {
                    throw Unexpected()
                }
                #expect(InstanceLock.probe(path: path) == .held(pid: getpid()))
                withExtendedLifetime(lock) {}
            }
            #expect(InstanceLock.probe(path: path) == .free)
            let again = try acquired(path)
            #expect(InstanceLock.probe(path: path) == .held(pid: getpid()))
            withExtendedLifetime(again) {}
        }
    }

    @Test func isLetGoWhenItsHolderIsKilled() throws {
        try withPath { path in
            let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
            #expect(lock(descriptor, Int32(F_WRLCK)))
            // The child gets the same open file, and so the lock.
            var actions = posix_spawn_file_actions_t()
            posix_spawn_file_actions_init(&actions)
            posix_spawn_file_actions_adddup2(&actions, descriptor, 9)
            defer { posix_spawn_file_actions_destroy(&actions) }
            var child: pid_t = 0
            let command = strdup("sleep")
            let argument = strdup("60")
            defer {
                free(command)
                free(argument)
            }
            #expect(posix_spawnp(&child, "sleep", &actions, nil, [command, argument, nil], nil) == 0)
            close(descriptor)
            #expect(InstanceLock.probe(path: path) == .held(pid: nil))
            kill(child, SIGKILL)
            waitpid(child, nil, 0)
            #expect(InstanceLock.probe(path: path) == .free)
        }
    }

    @Test func aReaderOfTheFileCannotKeepAnAgentFromStarting() throws {
        try withPath { path in
            _ = try acquired(path)
            let reader = open(path, O_RDONLY | O_CLOEXEC)
            defer { close(reader) }
            #expect(lock(reader, Int32(F_RDLCK)))
            #expect(InstanceLock.probe(path: path) == .free)
            let holder = try acquired(path)
            #expect(InstanceLock.probe(path: path) == .held(pid: getpid()))
            withExtendedLifetime(holder) {}
        }
    }

    @Test func onlyOneOfManyGetsIt() async throws {
        var template = Array("/tmp/instance-lock-XXXXXX".utf8CString)
        _ = try #require(mkdtemp(&template))
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let path = "\(directory)/agentd.lock"
        let held = await withTaskGroup(of: InstanceLock?.self) { group in
            for _ in 0..<32 {
                group.addTask {
                    if case .acquired(let lock) = InstanceLock.acquire(path: path) { lock } else { nil }
                }
            }
            return await group.reduce(into: [InstanceLock]()) { if let lock = $1 { $0.append(lock) } }
        }
        #expect(held.count == 1)
        for name in ["agentd.lock", "agentd.lock.start"] { unlink("\(directory)/\(name)") }
        rmdir(directory)
    }

    @Test func everyoneMayLookHoweverTheFileWasMade() throws {
        try withPath { path in
            close(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600))
            let lock = try acquired(path)
            var information = stat()
            #expect(stat(path, &information) == 0)
            #expect(information.st_mode & 0o777 == 0o644)
            withExtendedLifetime(lock) {}
        }
    }

    @Test func saysWhyItCannotBeTaken() throws {
        try withPath { path in
            guard case .failed(operation: "open", errno: ENOENT) = InstanceLock.acquire(path: path + "/x/y") else {
                throw Unexpected()
            }
            symlink("/dev/null", path)
            guard case .failed(operation: "open", errno: ELOOP) = InstanceLock.acquire(path: path) else {
                throw Unexpected()
            }
        }
        #expect(InstanceLock.probe(path: "/dev/null/agentd.lock") == .missing)
    }

    @Test(.enabled(if: geteuid() != 0, "root may read everything"))
    func saysThatItMayNotLook() throws {
        try withPath { path in
            close(open(path, O_RDWR | O_CREAT, 0))
            #expect(InstanceLock.probe(path: path) == .noPermission)
        }
    }
}
