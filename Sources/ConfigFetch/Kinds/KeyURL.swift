internal import ConfigSnapshot

/// The URL of a source that is asked by an API: `etcd://host:2379/app/`. The scheme's name alone means HTTPS; plain HTTP is
/// written out, as in `etcd+http://host:2379/app/`.
struct KeyURL {
    /// `https://host:2379`.
    let endpoint: String
    /// What stands behind the host, percent-decoded, with its leading slash and without the query.
    let path: String
    /// The query's names and values, percent-decoded.
    let query: [String: String]

    init(_ url: String) {
        let parts = URLParts(url)
        let scheme =
            parts.schemeAndSlashes.hasSuffix("+http://") || parts.schemeAndSlashes == "http://" ? "http" : "https"
        endpoint = "\(scheme)://\(parts.authorityWithoutUser)"
        path = PercentEncoding.decode(parts.path[...], allowsZero: false) ?? parts.path
        query = Self.query(url)
    }

    private static func query(_ url: String) -> [String: String] {
        guard let mark = url.firstIndex(of: "?") else { return [:] }
        var query: [String: String] = [:]
        for pair in url[mark...].dropFirst().prefix(while: { $0 != "#" }).split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = PercentEncoding.decode(parts[0], allowsZero: false) ?? String(parts[0])
            query[name] = parts.count > 1 ? PercentEncoding.decode(parts[1], allowsZero: false) ?? String(parts[1]) : ""
        }
        return query
    }

    /// The path without its leading slash.
    var key: String { String(path.drop { $0 == "/" }) }

    /// A key that ends with a slash, or none at all, stands for all keys below it.
    var isPrefix: Bool { path.isEmpty || path.hasSuffix("/") }
}
