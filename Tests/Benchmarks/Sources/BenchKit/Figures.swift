import Foundation

/// What the kernel knows of a process.
public enum Figures {
    public struct Unreadable: Error, CustomStringConvertible {
        public let description: String
    }

    /// Bytes of memory that belongs to the process alone and to no file.
    public static func anonymousMemory(_ pid: pid_t) throws -> Double {
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        for line in status.split(separator: "\n") where line.hasPrefix("RssAnon:") {
            if let kilobytes = Double(line.filter(\.isNumber)) { return kilobytes * 1_024 }
        }
        throw Unreadable(description: "no RssAnon of process \(pid)")
    }

    /// Seconds of processor time, user's and kernel's, of whole processes.
    public static func processorTime(_ pids: [pid_t]) throws -> Double {
        var ticks = 0.0
        for pid in pids {
            let stat = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
            // Behind the name, which may hold anything: fields 14 and 15 of the whole line.
            guard let end = stat.lastIndex(of: ")") else { throw Unreadable(description: "stat of \(pid)") }
            let fields = stat[end...].split(separator: " ")
            guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else {
                throw Unreadable(description: "stat of \(pid)")
            }
            ticks += user + system
        }
        return ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// The same in nanoseconds, for times that are short against a tick. Threads that have ended do not count.
    public static func fineProcessorTime(_ pid: pid_t) throws -> Double {
        var sum = 0.0
        for thread in try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task") {
            let path = "/proc/\(pid)/task/\(thread)/schedstat"
            guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { continue }
            sum += text.split(separator: " ").first.flatMap { Double($0) } ?? 0
        }
        return sum
    }

    public static func children(of pid: pid_t) -> [pid_t] {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)) ?? ""
        return text.split(separator: " ").compactMap { pid_t($0) }
    }

    /// For this process and those it starts, which may each have to close all they do not want to inherit: so no
    /// more than a case needs.
    ///
    /// - Parameter count: `nil` for as many as there may be.
    public static func limitDescriptors(to count: rlim_t?) {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = min(limit.rlim_max, count ?? limit.rlim_max)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// Nanoseconds.
    public static var now: UInt64 { DispatchTime.now().uptimeNanoseconds }
}
