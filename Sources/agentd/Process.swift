internal import CProcess
internal import Curl
internal import Glibc

/// What is set once for the whole process, before any thread starts.
enum Process {
    static func prepare() {
        // A client that goes away is an error of one write, not a signal to the process.
        signal(SIGPIPE, SIG_IGN)
        // What is made is nobody else's to write to, and a socket nobody else's to connect to, until it is given away.
        umask(umask(0o022) | 0o022)
        // Documents and headers may hold secrets: no core.
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
        cp_forbid_dumps()
        // As many descriptors as there may be: a connection takes one.
        var descriptors = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &descriptors) == 0 {
            descriptors.rlim_cur = min(descriptors.rlim_max, 65_536)
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &descriptors)
        }
        // Documents come and go in large blocks.
        cp_map_large_blocks(256 << 10)
        CurlGlobal.initialise()
    }

    /// Writes a line for whoever started the program.
    static func complain(_ message: String) {
        var rest = Array("agentd: \(message)\n".utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno != EINTR { return }
            rest = rest.dropFirst(max(count, 0))
        }
    }
}
