internal import Foundation

/// Not Consul: a server written from the documentation of its key/value store and of its blocking queries
/// (https://developer.hashicorp.com/consul/api-docs/kv and /features/blocking), because no Consul can be installed here.
/// What it shows is that the agent keeps to the documented contract, not that Consul does.
public final class ConsulContract: @unchecked Sendable {
    private let condition = NSCondition()
    private var values: [String: (value: String, index: Int)] = [:]
    private var index = 1
    private var isStopped = false
    private var waiting = 0
    private let token: String?
    private var server: HeldOrigin?

    public init(token: String? = nil) throws {
        self.token = token
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

    public func url(_ path: String) -> String { "consul+http://127.0.0.1:\(server?.port ?? 0)\(path)" }

    public var requests: [OriginRequest] { server?.requests ?? [] }
    /// Blocking queries that wait.
    public var blocked: Int { condition.withLock { waiting } }

    public func put(_ key: String, _ value: String?) {
        condition.withLock {
            index += 1
            values[key] = value.map { ($0, index) }
            condition.broadcast()
        }
    }

    /// As after a restore of a snapshot: the index falls.
    public func restore(_ contents: [String: String]) {
        condition.withLock {
            index = 2
            values = contents.mapValues { ($0, 2) }
            condition.broadcast()
        }
    }

    /// Lets the blocking queries go though nothing has changed, as the real one does now and then.
    public func wakeForNothing() {
        condition.withLock {
            index += 1
            condition.broadcast()
        }
    }

    private func answer(_ request: OriginRequest) -> OriginReply {
        guard token == nil || request.headers["x-consul-token"] == token else { return .http(403) }
        let parameters = request.parameters
        guard let wanted = parameters["index"].flatMap({ Int($0) }) else { return state(request) }
        let wait = parameters["wait"].flatMap { Double($0.dropLast()) } ?? 300
        return .later { [weak self] in
            guard let self else { return .http(500) }
            let end = Date().addingTimeInterval(wait + wait / 16)
            condition.withLock {
                waiting += 1
                while index == wanted && !isStopped { if !condition.wait(until: end) { break } }
                waiting -= 1
            }
            return state(request)
        }
    }

    private func state(_ request: OriginRequest) -> OriginReply {
        let key = String(request.route.dropFirst("/v1/kv/".count)).removingPercentEncoding ?? ""
        return condition.withLock {
            let headers = ["X-Consul-Index": String(index), "Content-Type": "application/json"]
            guard request.parameters["recurse"] != nil else {
                guard let found = values[key] else { return .http(404, headers: headers) }
                return .http(200, headers: headers, body: Array(found.value.utf8))
            }
            let found = values.filter { $0.key.hasPrefix(key) }.sorted { $0.key < $1.key }
            if found.isEmpty { return .http(404, headers: headers) }
            let pairs = found.map { key, entry in
                let value = Data(entry.value.utf8).base64EncodedString()
                return #"{"LockIndex":0,"Key":"\#(key)","Flags":0,"Value":"\#(value)","ModifyIndex":\#(entry.index)}"#
            }
            return .http(200, headers: headers, body: Array("[\(pairs.joined(separator: ","))]".utf8))
        }
    }
}
