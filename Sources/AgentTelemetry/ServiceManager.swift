internal import CSystemd
internal import Glibc

/// What systemd and the agent tell each other. Everything here does nothing where there is no systemd.
public enum ServiceManager {
    /// Says that the service is up.
    public static func ready(status: String) { notify("READY=1\nSTATUS=\(status)") }

    /// The line in `systemctl status`. To be called at most once a second.
    public static func status(_ text: String) { notify("STATUS=\(text)") }

    public static func stopping() { notify("STOPPING=1\nSTATUS=stopping") }

    /// The interval of systemd's watchdog in nanoseconds; `nil` when it does not watch us.
    public static var watchdogNanoseconds: UInt64? {
        var microseconds: UInt64 = 0
        return sd_watchdog_enabled(0, &microseconds) > 0 ? microseconds * 1_000 : nil
    }

    public static func feedWatchdog() { notify("WATCHDOG=1") }

    private static func notify(_ state: String) { sd_notify(0, state) }

    /// The sockets that systemd opened for us, by the names of their units. To be called once, before any thread
    /// starts: it clears the environment variables, so that no child takes them for its own.
    public static func takeSockets() -> [String: Int32] {
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        let count = sd_listen_fds_with_names(1, &names)
        guard count > 0, let names else { return [:] }
        var sockets: [String: Int32] = [:]
        for index in 0..<Int(count) {
            guard let name = names[index] else { continue }
            sockets[String(cString: name)] = Int32(index) + SD_LISTEN_FDS_START
            // SAFETY: libsystemd hands over the list and each name; both are freed here, once.
            free(name)
        }
        free(names)
        return sockets
    }
}
