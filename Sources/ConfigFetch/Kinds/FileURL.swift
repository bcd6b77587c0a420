internal import ConfigSnapshot

/// File URLs, as libcurl reads them.
enum FileURL {
    /// The path of `file:///path` (or `file://localhost/path`), percent-decoded; `nil` when there is none.
    static func path(of url: String) -> String? {
        let parts = URLParts(url)
        guard parts.schemeAndSlashes == "file://", ["", "localhost"].contains(parts.authorityWithoutUser),
            parts.path.hasPrefix("/")
        else { return nil }
        return PercentEncoding.decode(parts.path[...], allowsZero: false)
    }
}
