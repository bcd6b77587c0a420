internal import CCurl

/// libcurl's process-wide state. Touch it once before the first handle, before any other thread starts.
public enum CurlGlobal {
    private static let initialised: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    /// - Returns: whether libcurl can be used at all.
    @discardableResult
    public static func initialise() -> Bool { initialised }

    /// libcurl's version and the libraries it was built with.
    public static var version: String { String(cString: curl_version()) }
}
