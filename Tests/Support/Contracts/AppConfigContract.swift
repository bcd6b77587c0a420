internal import Foundation

/// Not AWS AppConfig: a server written from the documentation of its data plane (StartConfigurationSession and
/// GetLatestConfiguration), because that is no program that could be installed. What it shows is that the agent keeps to
/// the documented contract, not that AWS does. That a signature is there is looked at, not whether it is right: that is
/// shown with S3.
public final class AppConfigContract: @unchecked Sendable {
    private struct Session {
        var given: Int?
    }

    private let lock = NSLock()
    private var sessions: [String: Session] = [:]
    private var count = 0
    private var content: (text: String, version: Int)
    private var server: HeldOrigin?
    /// Told with each answer.
    private let pollInterval: Int
    public private(set) var sessionsStarted = 0

    public init(_ text: String, pollInterval: Int = 60) throws {
        content = (text, 1)
        self.pollInterval = pollInterval
        server = try HeldOrigin { [unowned self] request in lock.withLock { answer(request) } }
    }

    deinit { server?.stop() }

    public var endpoint: String { "http://127.0.0.1:\(server?.port ?? 0)" }
    public var requests: [OriginRequest] { server?.requests ?? [] }

    public func deploy(_ text: String) { lock.withLock { content = (text, content.version + 1) } }

    /// Every token is refused from now on, as after a day.
    public func expireTokens() { lock.withLock { sessions = [:] } }

    private func token(_ session: Session) -> String {
        count += 1
        // With characters that have to be escaped in a query.
        let token = "token+\(count)/=="
        sessions[token] = session
        return token
    }

    private func answer(_ request: OriginRequest) -> OriginReply {
        guard request.headers["authorization"]?.hasPrefix("AWS4-HMAC-SHA256 Credential=") == true,
            request.headers["authorization"]?.contains("/appconfig/aws4_request") == true
        else { return .http(403, body: Array(#"{"Message":"missing authentication token"}"#.utf8)) }
        switch (request.method, request.route) {
        case ("POST", "/configurationsessions"):
            guard let body = try? JSONValue(parsing: request.body), body["ApplicationIdentifier"].string == "app",
                body["EnvironmentIdentifier"].string == "env",
                body["ConfigurationProfileIdentifier"].string == "Profile"
            else { return .http(404, body: Array(#"{"Message":"no such profile"}"#.utf8)) }
            sessionsStarted += 1
            return .http(201, body: Array(#"{"InitialConfigurationToken":"\#(token(Session()))"}"#.utf8))
        case ("GET", "/configuration"):
            // Good for one request.
            guard let used = request.parameters["configuration_token"], let session = sessions.removeValue(forKey: used)
            else { return .http(400, body: Array(#"{"Message":"Request token is invalid"}"#.utf8)) }
            let next = token(Session(given: content.version))
            let headers = [
                "Next-Poll-Configuration-Token": next, "Next-Poll-Interval-In-Seconds": String(pollInterval),
                "Version-Label": "v\(content.version)", "Content-Type": "application/json",
            ]
            return .http(200, headers: headers, body: session.given == content.version ? [] : Array(content.text.utf8))
        default: return .http(404)
        }
    }
}
