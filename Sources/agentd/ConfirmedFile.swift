internal import Glibc

/// A file whose time of change is when all values were last confirmed: for whoever looks at files and asks nobody, as
/// `find /run/agent/confirmed -mmin +5` does.
struct ConfirmedFile {
    private let path: String
    private var written: Int64?

    init(path: String) {
        self.path = path
        // What an agent before this one has confirmed says nothing.
        unlink(path)
    }

    /// - Parameter time: nanoseconds since 1970; `nil` as long as something has not been confirmed.
    mutating func update(_ time: Int64?) {
        guard time != written else { return }
        written = time
        guard let time else {
            unlink(path)
            return
        }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let stamp = timespec(tv_sec: Int(time / 1_000_000_000), tv_nsec: Int(time % 1_000_000_000))
        _ = futimens(descriptor, [stamp, stamp])
    }
}
