internal import AgentConfiguration
internal import AgentTelemetry
internal import Glibc
internal import LockLadder

/// Tells why the configuration is refused, where somebody will look: on a terminal, or in the journal.
enum ConfigurationRefusal {
    static func tell(_ errors: ConfigurationErrors) {
        let journal = Journal(level: .error, warnWait: .max, reportInterval: .max)
        guard journal.destination == "journald", journal.start() else {
            Process.complain("the configuration is refused:\n\(errors)")
            return
        }
        for error in errors.list {
            journal.log(EventRecords.configurationRefused(error, event: "configuration_refused"))
        }
        journal.stop(until: MonotonicTime.now.advanced(byNanoseconds: 1_000_000_000))
    }
}
