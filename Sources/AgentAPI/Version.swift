/// The version of agentd and agentctl, and of the interface between them.
public enum Version {
    /// What `--version` prints.
    public static let text = "0.1.0"
    /// The version of the answers, the first part of every path but those for probes and scrapers.
    public static let api = "v1"
}
