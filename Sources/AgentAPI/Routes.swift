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
    /// On the status socket: ``HistoryReport``.
    public static let history = "/v1/history"
    /// On the status socket: ``HealthReport`` once what is waited for has come, or an error once `?timeout=SECONDS` are over.
    /// With `generation=N` until that one or a newer one is in use; with `fresh=true` until each source has confirmed what
    /// is in use, from now on.
    public static let wait = "/v1/wait"
    /// How long that may be, in whole seconds, and how long it is where nothing is said.
    public static let waitTimeout = (range: 1...3_600, usual: 30)
    /// On the config socket: with `/GENERATION` the whole configuration that was in use then, with `/GENERATION/KEY` one
    /// value of it.
    public static let generations = "/v1/generations"
    /// On the config socket: ``DiffReport``, of `?from=GENERATION&to=GENERATION`; by default of the newest one and the one
    /// before.
    public static let diff = "/v1/diff"
    /// On the config socket, with `/KEY`: ``ExplainReport``.
    public static let explain = "/v1/explain"
    /// On the control socket: ``ActionReport``; `?generation=N`. Goes back to it, and pins it. Each takes `reason=TEXT`.
    public static let rollback = "/v1/rollback"
    /// On the control socket: ``ActionReport``. What is in use stays in use, whatever the sources say; or not any more.
    public static let pin = "/v1/pin"
    public static let unpin = "/v1/unpin"
    /// On the control socket: ``ActionReport``. No source is asked; or they are again.
    public static let freeze = "/v1/freeze"
    public static let thaw = "/v1/thaw"
    /// On the status socket: ``QuarantineReport``.
    public static let quarantine = "/v1/quarantine"
    /// On the control socket: ``AcceptReport``; `?digest=DIGITS`, the first of the document's digest, and `&source=NAME` where
    /// several sources have refused it. Takes it once its source says it again.
    public static let accept = "/v1/accept"
    /// On the control socket: ``RefreshReport``; `?source=NAME` for one source.
    public static let refresh = "/v1/refresh"
    /// On the control socket: ``ReloadReport``, once the agent's own configuration is in force or refused.
    public static let reload = "/v1/reload"
}
