/// The paths that agentd answers.
public enum Routes {
    /// On the status socket: ``StatusReport``.
    public static let status = "/v1/status"
    /// On the status socket: ``LocksReport``. The locks socket answers it, too, whatever it is asked for but metrics.
    public static let locks = "/v1/locks"
    /// On the status socket: ``SourcesReport``.
    public static let sources = "/v1/sources"
    /// On the status socket: ``HealthReport``, whether the agent works at all.
    public static let healthz = "/healthz"
    /// On the status socket: ``HealthReport``, whether every required source has been there once.
    public static let readyz = "/readyz"
    /// On the status socket: Prometheus text. On the locks socket: what of it is about locks.
    public static let metrics = "/metrics"
    /// On the config socket: the whole configuration, or with `/KEY` one value.
    public static let config = "/v1/config"
    /// On the config socket: server-sent events about all of it, about what is at or below `?prefix=KEY`, or with
    /// `/KEY` about one value. Goes on from the generation in `Last-Event-ID`.
    public static let watch = "/v1/watch"
    /// On the config socket: with `/SOURCE` the document of a source that is loaded on demand, with `/SOURCE/KEY` one
    /// value in it. Waits for the load, `?wait=SECONDS` at most.
    public static let documents = "/v1/documents"
    /// How long that may be, in whole seconds, and how long it is where nothing is said.
    public static let documentWait = (range: 1...55, usual: 10)
    /// On the control socket: ``RefreshReport``; `?source=NAME` for one source.
    public static let refresh = "/v1/refresh"
    /// On the control socket: ``ReloadReport``, once the agent's own configuration is in force or refused.
    public static let reload = "/v1/reload"
}
