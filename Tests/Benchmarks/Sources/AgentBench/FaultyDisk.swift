import BenchKit
import Foundation

/// A disk that can be broken and mended: a library in the agent's process lets its calls fail, or wait, for as long as a file
/// says so. Everything else is real.
struct FaultyDisk {
    enum Fault: String, CaseIterable {
        /// There is no room for what is written.
        case full = "FULL"
        /// Syncs fail.
        case errors = "FAILS"
        /// Nothing can be made.
        case readOnly = "READS"
        /// Syncs take ten seconds.
        case hangs = "HANGS"

        var name: String {
            switch self {
            case .full: "a full disk"
            case .errors: "a disk with errors"
            case .readOnly: "a read-only disk"
            case .hangs: "syncs of 10 s"
            }
        }
    }

    private let agent: Agent

    /// To be made before the agent is started.
    init(of agent: Agent) throws {
        self.agent = agent
        let library = agent.file("disk.so").path
        let source = agent.file("disk.c")
        try """
        #define _GNU_SOURCE
        #include <errno.h>
        #include <fcntl.h>
        #include <stdarg.h>
        #include <stdlib.h>
        #include <sys/stat.h>
        #include <sys/syscall.h>
        #include <time.h>
        #include <unistd.h>
        static int is(const char *name) { const char *path = getenv(name); return path && access(path, F_OK) == 0; }
        int fsync(int descriptor) {
            if (is("FAILS")) { errno = EIO; return -1; }
            if (is("HANGS")) { struct timespec length = { 10, 0 }; nanosleep(&length, 0); }
            return (int)syscall(SYS_fsync, descriptor);
        }
        ssize_t write(int descriptor, const void *bytes, size_t count) {
            struct stat status;
            if (is("FULL") && fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode)) { errno = ENOSPC; return -1; }
            return syscall(SYS_write, descriptor, bytes, count);
        }
        int open(const char *path, int flags, ...) {
            mode_t mode = 0;
            if (flags & O_CREAT) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }
            if (flags & O_CREAT && is("READS")) { errno = EROFS; return -1; }
            return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
        }
        int open64(const char *path, int flags, ...) {
            mode_t mode = 0;
            if (flags & O_CREAT) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }
            return open(path, flags, mode);
        }
        """.write(to: source, atomically: true, encoding: .utf8)
        _ = try Tools.run(URL(filePath: "/usr/bin/cc"), ["-shared", "-fPIC", "-o", library, source.path])
        agent.environment["LD_PRELOAD"] = library
        for fault in Fault.allCases { agent.environment[fault.rawValue] = agent.file(fault.rawValue).path }
    }

    /// Breaks it, and waits until that is felt: what was changed meanwhile is in use and not on disk.
    func strike(_ fault: Fault) throws {
        try Data().write(to: agent.file(fault.rawValue))
        try agent.writeDocument()
        try wait("the disk is missed") { status in
            let isTold = fault == .hangs || String(describing: status["health"]).contains("not_durable")
            return !Self.isDurable(status) && isTold
        }
    }

    /// Mends it, and waits until everything is on it.
    func mend(_ fault: Fault) throws {
        try FileManager.default.removeItem(at: agent.file(fault.rawValue))
        try wait("it has caught up") { Self.isDurable($0) }
    }

    private static func isDurable(_ status: [String: Any]) -> Bool {
        let newest = status["generation"] as? Int
        return newest != nil && newest == status["durable_generation"] as? Int
    }

    private func wait(_ what: String, until holds: ([String: Any]) -> Bool) throws {
        let deadline = Date.now + 90
        while Date.now < deadline {
            if holds(try agent.status()) { return }
            Thread.sleep(forTimeInterval: 0.05)
        }
        throw Agent.Failure(description: "waited 90 s in vain: \(what)")
    }
}

extension Agent {
    /// `GET /v1/status`.
    func status() throws -> [String: Any] {
        let socket = try LocalSocket(statusSocket)
        try socket.send(Array("GET /v1/status HTTP/1.1\r\nHost: agent\r\n\r\n".utf8))
        let answer = try socket.receive()
        guard answer.status == 200,
            let json = try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any]
        else { throw Failure(description: "no status: \(answer.status)") }
        return json
    }
}

extension LocalReads {
    /// What a disk that is full, fails, or hangs costs those who read, while documents keep changing.
    func besideBrokenDisk(requests: Int = 8_000, rounds: Int = 7) throws -> [Measurement] {
        let agent = try Agent(binaries: binaries, keys: 1_000)
        defer { agent.end() }
        let disk = try FaultyDisk(of: agent)
        try agent.prepare()
        _ = try agent.start()
        var quiet: [FaultyDisk.Fault: Latencies] = [:]
        var broken: [FaultyDisk.Fault: Latencies] = [:]
        for round in 0...rounds {
            for fault in FaultyDisk.Fault.allCases {
                // Each beside a quiet one of its own, which begins when all is well again.
                try measure(agent, requests, into: &quiet[fault, default: Latencies()], counts: round > 0)
                try disk.strike(fault)
                try measure(agent, requests, into: &broken[fault, default: Latencies()], counts: round > 0)
                try disk.mend(fault)
            }
        }
        return FaultyDisk.Fault.allCases.map { fault in
            let (found, before) = (broken[fault] ?? Latencies(), quiet[fault] ?? Latencies())
            let name = "local reads beside \(fault.name), p99"
            return Measurement(name, "broken", found.p99, against: "quiet", before.p99, unit: "µs", .atMost(2))
        }
    }
}
