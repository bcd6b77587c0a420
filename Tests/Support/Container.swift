internal import Foundation

/// A throwaway Debian with a real systemd as its process 1: this machine's file system under a layer that is kept in
/// memory and forgotten, with a loopback network of its own.
public final class Container: @unchecked Sendable {
    /// Unique among those that run at the same time.
    public let name: String
    /// From the start of the container until systemd had nothing left to start.
    public private(set) var bootTime: Duration = .zero

    private let base: String
    private let program: Program
    private var leader: pid_t = 0
    private var stopped = false

    /// Whether this machine and user can boot one.
    public static var isPossible: Bool {
        geteuid() == 0 && FileManager.default.isExecutableFile(atPath: "/usr/bin/systemd-nspawn")
    }

    /// Boots one and waits until it is up.
    ///
    /// - Parameter stage: A directory whose content is laid over the file system, such as `make install` made.
    public init(stage: String) throws {
        Self.removeLeftovers()
        let number = Self.nextNumber()
        name = "\(Self.prefix)\(getpid())-\(number)"
        base = "/var/tmp/\(name)"
        try createDirectory(base)
        program = try Program(
            ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", Self.script, "sh", base, name, stage],
            log: base + ".log"
        )
        let start = ContinuousClock.now
        var answer = ""
        do {
            leader = try waitFor("systemd to be started", deadline: .seconds(30)) {
                guard program.isRunning else { throw ProgramFailed(description: "it ended at once") }
                return findLeader()
            }
            try waitUntil("systemd to be up", deadline: .seconds(60), every: .milliseconds(50)) {
                guard program.isRunning else { return true }
                let output = try run("systemctl", "is-system-running")
                answer = "\(output)"
                let state = output.standardOutput.trimmingCharacters(in: .whitespacesAndNewlines)
                return ["running", "degraded"].contains(state)
            }
            guard program.isRunning else { throw ProgramFailed(description: "it ended while booting") }
        } catch {
            let lines = console.split(whereSeparator: \.isNewline).suffix(80).joined(separator: "\n")
            stop()
            throw ProgramFailed(description: "\(error)\n--- systemctl\n\(answer)\n--- console\n\(lines)")
        }
        bootTime = ContinuousClock.now - start
    }

    deinit {
        stop()
    }

    // MARK: - Inside

    /// Runs a program in it, as root.
    public func run(_ command: String..., timeout: Duration = .seconds(30)) throws -> ProgramOutput {
        try Program.run(inside(command), environment: Self.environment, timeout: timeout)
    }

    /// Runs a shell command line in it, as root.
    public func shell(_ line: String, timeout: Duration = .seconds(30)) throws -> ProgramOutput {
        try run("/bin/sh", "-c", line, timeout: timeout)
    }

    /// The same where nothing but success will do: what it wrote to standard output, without the last line's end.
    @discardableResult
    public func check(_ line: String, timeout: Duration = .seconds(30)) throws -> String {
        let output = try shell(line, timeout: timeout)
        guard output.code == 0 else { throw ProgramFailed(description: "\(line): \(output)") }
        return output.standardOutput.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Starts a program in it that goes on while the test does something else.
    public func start(_ line: String) throws -> Program {
        try Program(inside(["/bin/sh", "-c", line]), environment: Self.environment)
    }

    /// Where this machine sees a path of the container, sockets included.
    public func path(_ inside: String) -> String { "/proc/\(leader)/root\(inside)" }

    /// Puts a file in place, in one step for those who read it.
    public func write(_ path: String, _ text: String) throws {
        let target = self.path(path)
        try createDirectory((target as NSString).deletingLastPathComponent)
        try Data(text.utf8).write(to: URL(fileURLWithPath: target + ".new"))
        guard rename(target + ".new", target) == 0 else { throw SystemCallError("rename \(target)") }
    }

    /// Records of the journal that match, oldest first.
    public func journal(_ arguments: String) throws -> [JSONValue] {
        let text = try shell("journalctl --no-pager -q -o json \(arguments)").standardOutput
        return try text.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
    }

    /// What systemd says about a unit.
    public func property(_ name: String, of unit: String) throws -> String {
        try check("systemctl show -P \(name) \(unit)")
    }

    /// What came out on its console.
    public var console: String { readText(base + ".log") }

    /// The root of a mount namespace is not where its processes have theirs when this process runs in a chroot.
    private func inside(_ command: [String]) -> [String] {
        ["nsenter", "-t", "\(leader)", "-a", "--root", "--wd", "--"] + command
    }

    private static let environment = [
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_PAGER": "cat",
        "SYSTEMD_COLORS": "0", "LC_ALL": "C.UTF-8", "NOTIFY_SOCKET": "", "TMPDIR": "",
    ]

    // MARK: - Life

    /// Powers it off, kills it when that takes too long, and removes every trace. May be called twice.
    public func stop() {
        guard !stopped else { return }
        stopped = true
        if leader > 0, program.isRunning {
            // What happens to the file system in memory is of no interest.
            kill(leader, Self.powerOff)
            _ = try? program.waitForExit(deadline: .seconds(15))
        }
        // With nspawn its process 1 dies, and with that everything inside.
        program.stop(signal: SIGKILL, deadline: .seconds(5))
        Self.remove(name, deadline: .seconds(3))
    }

    private func findLeader() -> pid_t? {
        let children = readText("/proc/\(program.pid)/task/\(program.pid)/children").split(separator: " ")
        for child in children.compactMap({ pid_t($0) }) {
            let status = readText("/proc/\(child)/status").split(separator: "\n")
            let isFirst = status.contains { $0.hasPrefix("NSpid:") && $0.hasSuffix("\t1") }
            if isFirst, readText("/proc/\(child)/comm").hasPrefix("systemd") { return child }
        }
        return nil
    }

    /// SIGRTMIN+4: the macro is not one that Swift can read.
    private static let powerOff: Int32 = 34 + 4
    private static let prefix = "config-agent-test-"
    private static let counter = Counter()

    private static func nextNumber() -> Int { counter.next() }

    /// What containers left whose test process is gone.
    private static func removeLeftovers() {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/var/tmp")) ?? []
        for name in names where name.hasPrefix(prefix) && !name.hasSuffix(".log") {
            let words = name.dropFirst(prefix.count).split(separator: "-")
            if let owner = words.first.flatMap({ pid_t($0) }), kill(owner, 0) != 0 { remove(name, deadline: .zero) }
        }
    }

    private static func remove(_ name: String, deadline: Duration) {
        for (root, path) in controlGroups() {
            let group = "\(root)\(path == "/" ? "" : path)/\(name)"
            guard FileManager.default.fileExists(atPath: group) else { continue }
            // A group can be removed once its processes are reaped, which may take the kernel a moment.
            _ = try? waitUntil("\(group) to be empty", deadline: deadline) {
                _ = try Program.run(["find", group, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"])
                return !FileManager.default.fileExists(atPath: group)
            }
        }
        rmdir("/var/tmp/\(name)")
        unlink("/var/tmp/\(name).log")
    }

    /// The hierarchies that systemd uses, with this process's place in each.
    private static func controlGroups() -> [(root: String, path: String)] {
        let unified = readText("/proc/self/mounts").split(separator: "\n").compactMap { line -> String? in
            let words = line.split(separator: " ")
            return words.count > 2 && words[2] == "cgroup2" ? String(words[1]) : nil
        }.first
        return readText("/proc/self/cgroup").split(separator: "\n").compactMap { line in
            let words = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
            guard words.count == 3 else { return nil }
            if words[1] == "name=systemd" { return ("/sys/fs/cgroup/systemd", words[2]) }
            if words[1].isEmpty, let unified { return (unified, words[2]) }
            return nil
        }
    }

    /// Runs in a mount namespace of its own, which takes every mount with it when it ends.
    ///
    /// A control group of its own keeps containers that run at the same time apart. Process 1 gets a machine id of
    /// its own, keeps its journal in memory, and starts no further than basic.target and without timers, so that no
    /// service of this machine comes up twice.
    private static let script = #"""
        set -eu
        base=$1 name=$2 stage=$3
        grep -E '^[0-9]+:(name=systemd)?:' /proc/self/cgroup | while IFS=: read -r number controller path; do
            if [ "$controller" = name=systemd ]; then root=/sys/fs/cgroup/systemd
            else root=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts); fi
            [ -n "$root" ] || continue
            mkdir -p "$root$path/$name"
            echo $$ >"$root$path/$name/cgroup.procs"
        done
        mount -t tmpfs -o mode=0755,size=2g "$name" "$base"
        mkdir "$base/upper" "$base/work" "$base/root"
        chmod 755 "$base/upper"
        mkdir -p "$base/upper/etc/systemd/system" "$base/upper/etc/systemd/journald.conf.d"
        tr -d - </proc/sys/kernel/random/uuid >"$base/upper/etc/machine-id"
        ln -sfn /dev/null "$base/upper/etc/systemd/system/timers.target"
        printf '[Journal]\nStorage=volatile\n' >"$base/upper/etc/systemd/journald.conf.d/test.conf"
        mount -t overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$name" "$base/root"
        # Unlike cp, this goes through /lib where it is a link to /usr/lib.
        tar -C "$stage" -c . | tar -C "$base/root" -x --keep-directory-symlink --no-overwrite-dir
        # nspawn leaves a directory in /run: let it be a /run that vanishes with this namespace.
        mount -t tmpfs -o mode=0755 "$name" /run
        exec systemd-nspawn --quiet --boot --directory="$base/root" --machine="$name" --register=no --keep-unit \
            --private-network --link-journal=no --resolv-conf=off --timezone=off \
            --console=read-only --setenv=TERM=dumb systemd.unit=basic.target
        """#
}

/// Numbers, each once.
private final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var value = 0

    func next() -> Int {
        lock.withLock {
            value += 1
            return value
        }
    }
}
