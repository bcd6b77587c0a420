public import Foundation

/// Not Nacos: a server written from the documentation of its first HTTP API (https://nacos.io/en/docs/open-api/), because
/// no Nacos can be installed here. What it shows is that the agent keeps to the documented contract, not that Nacos does.
public final class NacosContract: @unchecked Sendable {
    private let condition = NSCondition()
    private var contents: [String: (text: String, changed: Date)] = [:]
    private var isStopped = false
    private var waiting = 0
    private var tokens = 0
    private let password: String?
    private var server: HeldOrigin?

    /// - Parameter password: of the user `nacos`; `nil` where nobody has to log in.
    public init(password: String? = nil) throws {
        self.password = password
        server = try HeldOrigin { [unowned self] in answer($0) }
    }

    deinit { stop() }

    public func stop() {
        condition.withLock {
            isStopped = true
            condition.broadcast()
        }
        server?.stop()
    }

    public func url(_ path: String) -> String { "nacos+http://127.0.0.1:\(server?.port ?? 0)\(path)" }

    public var requests: [OriginRequest] { server?.requests ?? [] }
    /// Listeners that wait.
    public var listening: Int { condition.withLock { waiting } }

    public func publish(
        _ dataID: String,
        group: String,
        tenant: String = "",
        _ content: String,
        changed: Date = Date()
    ) {
        condition.withLock {
            contents["\(dataID)/\(group)/\(tenant)"] = (content, changed)
            condition.broadcast()
        }
    }

    /// Forgets who is logged in, as after a restart.
    public func forgetTokens() { condition.withLock { tokens += 1 } }

    private var token: String { "token-\(condition.withLock { tokens })" }

    private func answer(_ request: OriginRequest) -> OriginReply {
        let parameters = request.parameters
        if request.route == "/nacos/v1/auth/login" {
            guard request.method == "POST", parameters["username"] == "nacos", parameters["password"] == password else {
                return .http(403)
            }
            return .http(200, body: Array(#"{"accessToken":"\#(token)","tokenTtl":18000,"globalAdmin":true}"#.utf8))
        }
        guard password == nil || request.headers["authorization"] == "Bearer \(token)" else { return .http(403) }
        switch (request.method, request.route) {
        case ("GET", "/nacos/v1/cs/configs"):
            let key = "\(parameters["dataId"] ?? "")/\(parameters["group"] ?? "")/\(parameters["tenant"] ?? "")"
            guard let content = condition.withLock({ contents[key] }) else {
                return .http(404, body: Array("config data not exist".utf8))
            }
            // Not in the documentation, but what servers send: when the configuration was changed, by their database.
            let headers = ["Content-MD5": Self.digest(content.text), "Last-Modified": Self.date(content.changed)]
            return .http(200, headers: headers, body: Array(content.text.utf8))
        case ("POST", "/nacos/v1/cs/configs/listener"): return listen(request)
        default: return .http(404)
        }
    }

    private func listen(_ request: OriginRequest) -> OriginReply {
        // dataId ^2 group ^2 md5 [^2 tenant] ^1
        let line = (request.parameters["Listening-Configs"] ?? "")
        guard line.hasSuffix("\u{1}"), let wait = request.headers["long-pulling-timeout"].flatMap({ Double($0) }) else {
            return .http(400)
        }
        let fields = line.dropLast().split(separator: "\u{2}", omittingEmptySubsequences: false).map(String.init)
        guard fields.count == 3 || fields.count == 4 else { return .http(400) }
        let tenant = fields.count == 4 ? fields[3] : ""
        let key = "\(fields[0])/\(fields[1])/\(tenant)"
        return .later { [weak self] in
            guard let self else { return .http(500) }
            // The real one answers half a second early.
            let end = Date().addingTimeInterval(max(0, wait / 1_000 - 0.5))
            return condition.withLock {
                waiting += 1
                defer { waiting -= 1 }
                while !isStopped, (contents[key].map { Self.digest($0.text) } ?? "") == fields[2] {
                    if !condition.wait(until: end) { return .http(200) }
                }
                let changed =
                    ([fields[0], fields[1]] + (tenant.isEmpty ? [] : [tenant])).joined(separator: "%02") + "%01"
                return .http(200, body: Array(changed.utf8))
            }
        }
    }

    /// As HTTP writes it.
    private static func date(_ moment: Date) -> String {
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(secondsFromGMT: 0)
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        return format.string(from: moment)
    }

    /// Of what is not there the digest is empty. Stands for MD5: the agent sends back what it was told, and computes nothing.
    private static func digest(_ content: String) -> String {
        let hash = content.utf8.reduce(UInt64(14_695_981_039_346_656_037)) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        return String(hash, radix: 16)
    }
}
