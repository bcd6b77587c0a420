internal import ConfigSnapshot

/// What the configuration has to know of a kind of source.
struct KindSettings {
    /// Settings that need the same of a kind, and so go together.
    enum Group: CaseIterable {
        case network, socket, tls, redirects, watch, amazon, places, beside

        var names: [String] {
            switch self {
            case .network: ["headers", "auth", "allow_link_local", "connect_timeout", "proxy"]
            case .socket: ["unix_socket"]
            case .tls: ["tls"]
            case .redirects: ["max_redirects"]
            case .watch: ["watch"]
            case .amazon: ["region", "endpoint"]
            case .places: ["mirrors", "prefer", "max_latency"]
            // A value, and no setting of its own: a signature that lies beside the document.
            case .beside: []
            }
        }
    }

    /// Which settings mean something to this kind, besides those that all kinds know.
    var groups: Set<Group>
    /// What `auth` may say.
    var auth: [String] = []
    var needsRegion = false
    /// Whether it speaks HTTP itself, and may do without TLS where somebody says so: `etcd+http`.
    var mayBePlain = false
    /// The names that a query may have; `nil` for a query that is the origin's own business.
    var query: Set<String>? = []
    /// Whether a URL that ends with a slash, or names no key, stands for all keys below it.
    var hasTrees = false
    /// What its URL lacks, by its path and by all that stands behind the scheme; `nil` for one that lacks nothing.
    var problem: @Sendable (_ path: String, _ rest: Substring) -> SettingProblem? = { _, _ in nil }

    static let keys = ["access_key", "secret_key", "session_token"]
    /// All that the `auth` of any kind may say.
    static let anyAuth = ["user", "password", "token"] + keys
    /// Where who the agent is belongs, which a URL does not hold.
    var login: String {
        if auth.contains("user") { return "auth: {user: …, password: …}" }
        return auth.contains("token") ? "auth: {token: …}" : "auth: {access_key: …, secret_key: …}"
    }
    /// Of the stores of keys.
    private static let store: Set<Group> = [.network, .tls, .watch, .places]

    /// One entry for each kind.
    static func of(_ kind: SourceKind) -> KindSettings {
        switch kind {
        case .http:
            KindSettings(
                groups: [.network, .socket, .redirects, .places, .beside],
                auth: ["user", "password", "token"],
                query: nil
            )
        case .https:
            KindSettings(
                groups: [.network, .tls, .redirects, .places, .beside],
                auth: ["user", "password", "token"],
                query: nil
            )
        case .file: KindSettings(groups: [.watch, .beside], auth: anyAuth)
        case .etcd:
            KindSettings(
                groups: store,
                auth: ["user", "password"],
                mayBePlain: true,
                query: ["key"],
                hasTrees: true,
                problem: needsKey
            )
        case .consul:
            KindSettings(
                groups: store,
                auth: ["token"],
                mayBePlain: true,
                query: ["dc", "ns", "partition"],
                hasTrees: true
            )
        case .nacos:
            KindSettings(
                groups: store,
                auth: ["user", "password", "token"],
                mayBePlain: true,
                query: ["namespace"],
                problem: needsDataID
            )
        case .s3:
            KindSettings(
                groups: [.network, .tls, .amazon, .beside],
                auth: keys,
                needsRegion: true,
                problem: needsObject
            )
        case .appconfig:
            KindSettings(groups: [.network, .tls, .amazon], auth: keys, needsRegion: true, problem: needsThreeNames)
        }
    }

    /// Whether a document of this kind at `url` is put together from many keys.
    func isTree(_ url: String, path: String) -> Bool {
        guard hasTrees else { return false }
        // etcd's key may stand in the query, where a slash may be encoded.
        let named = url.split(separator: "?").dropFirst().first?.split(separator: "&").first { $0.hasPrefix("key=") }
        let key = named.map { PercentEncoding.decode($0.dropFirst(4), allowsZero: true) ?? "" } ?? path
        return key.isEmpty || key.hasSuffix("/")
    }

    /// What is wrong with a query: one that nobody reads would be a wish that is not heard.
    func problem(ofQuery rest: Substring) -> SettingProblem? {
        guard let query, let mark = rest.firstIndex(of: "?") else { return nil }
        let names = rest[mark...].dropFirst().split(separator: "&").map { $0.prefix { $0 != "=" } }
        guard let unknown = names.first(where: { !query.contains(String($0)) }) else { return nil }
        let known =
            query.isEmpty ? "this kind of source knows none" : "known are \(query.sorted().joined(separator: ", "))"
        return SettingProblem("the query's \(shown(String(unknown))) means nothing here", known)
    }

    @Sendable private static func needsKey(_ path: String, _ rest: Substring) -> SettingProblem? {
        guard path == "/", !rest.contains("?key=") else { return nil }
        return SettingProblem(
            "a URL without a key",
            "write etcd://host:2379/app.json for one key, or etcd://host:2379/app/ for all below"
        )
    }

    @Sendable private static func needsDataID(_ path: String, _ rest: Substring) -> SettingProblem? {
        if (1...2).contains(path.split(separator: "/").count) { return nil }
        return SettingProblem("a URL without a data id", "write it as in nacos://host:8848/group/data-id")
    }

    @Sendable private static func needsObject(_ path: String, _ rest: Substring) -> SettingProblem? {
        if path != "/", !path.hasSuffix("/") { return nil }
        return SettingProblem("a URL without an object's key", "write it as in s3://bucket/path/app.json")
    }

    @Sendable private static func needsThreeNames(_ path: String, _ rest: Substring) -> SettingProblem? {
        if path.split(separator: "/").count == 2 { return nil }
        return SettingProblem(
            "a URL that does not name an application, an environment and a profile",
            "write it as in appconfig://application/environment/profile"
        )
    }
}
