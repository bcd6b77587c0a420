import Foundation
import Testing

@testable import Curl

@Suite("Requests and their rules")
struct TransferTests {
    private let body = Array(#"{"a":1}"#.utf8)

    @Test func requestHead() throws {
        let server = try RawServer(answer: response(body: body))
        defer { server.stop() }
        let result = try perform(
            request(server.url("/a/b?c=d")) {
                $0.headers = [("X-One", "1"), ("X-Empty", ""), ("Accept", "text/plain")]
            }
        )
        #expect(result.failure == nil)
        let lines = try #require(server.requests.first).components(separatedBy: "\r\n")
        #expect(lines[0] == "GET /a/b?c=d HTTP/1.1")
        for line in ["X-One: 1", "X-Empty:", "Accept: text/plain", "User-Agent: config-agent"] {
            #expect(lines.contains(line), "\(line)")
        }
        #expect(lines.count { $0.lowercased().hasPrefix("accept:") } == 1)
    }

    @Test func headersOfTheLastResponse() throws {
        let result = try exchange([
            .text("HTTP/1.1 103 Early Hints\r\nX-A: early\r\n\r\n"), .send(response("200 OK", ["X-A: 1", "x-a: 2"])),
        ])
        #expect(result.transfer.header("x-A") == "1")
        #expect(result.transfer.header("X-B") == nil)
    }

    @Test(arguments: [400, 401, 403, 404, 410, 429, 500, 503, 204, 206])
    func bodiesOfOtherStatuses(status: Int) throws {
        let result = try exchange([.send(response("\(status) Status", body: status == 204 ? [] : body))])
        #expect(result.failure == nil)
        #expect(result.status == status)
        #expect(result.body.isEmpty)
    }

    @Test func endlessErrorBody() throws {
        let steps: [Step] = [.text("HTTP/1.1 500 Oops\r\n\r\n"), .sendForever([UInt8](repeating: 0x61, count: 9_999))]
        let result = try exchange(steps)
        #expect(result.kind == .badResponse)
        #expect(result.failure?.message.contains("500") == true)
    }

    @Test func redirectIsNotFollowed() throws {
        let server = try RawServer(answer: response("302 Found", ["Location: ../c?d=e"], body: body))
        defer { server.stop() }
        let result = try perform(request(server.url("/a/b/x")))
        #expect(result.failure == nil)
        #expect(result.status == 302)
        #expect(result.redirectURL == server.url("/a/c?d=e"))
        #expect(server.requests.count == 1)
    }

    static let metadata = [
        "169.254.169.254", "169.254.0.1", "[::ffff:169.254.169.254]", "[fe80::1]", "[fd00:ec2::254]", "2852039166",
        "0xa9fea9fe", "0251.0376.0251.0376", "100.100.100.200", "192.0.0.192", "168.63.129.16", "[fd20:ce::254]",
        "[::ffff:100.100.100.200]", "%32852039166", "%30xa9fea9fe", "169.254.169.254.",
    ]

    @Test(arguments: metadata)
    func linkLocal(host: String) throws {
        let result = try perform(request("http://\(host)/latest/meta-data"))
        #expect(result.kind == .addressRefused)
    }

    @Test("Nor is a proxy asked to go there", arguments: metadata)
    func linkLocalByProxy(host: String) throws {
        let proxy = try RawServer(answer: response(body: body))
        defer { proxy.stop() }
        let url = "http://\(host)/latest/meta-data"
        let refused = try perform(request(url) { $0.proxy = .init(url: proxy.url("")) })
        #expect(refused.kind == .addressRefused)
        #expect(proxy.requests.isEmpty)
        let allowed = try perform(
            request(url) {
                $0.proxy = .init(url: proxy.url(""))
                $0.allowsLinkLocal = true
            }
        )
        #expect(allowed.failure == nil)
        #expect(proxy.requests.count == 1)
    }

    @Test("In digits of other scripts an address is one too, or none at all")
    func otherDigits() throws {
        let proxy = try RawServer(answer: response(body: body))
        defer { proxy.stop() }
        let url = "http://①⑥⑨.254.169.254/"
        #expect(try perform(request(url)).failure != nil)
        #expect(try perform(request(url) { $0.proxy = .init(url: proxy.url("")) }).failure != nil)
        #expect(proxy.requests.isEmpty)
    }

    @Test("Addresses beside those are asked", arguments: ["100.100.100.201", "168.63.129.17", "[fd00:ec3::254]"])
    func ordinary(host: String) throws {
        let proxy = try RawServer(answer: response(body: body))
        defer { proxy.stop() }
        #expect(try perform(request("http://\(host)/") { $0.proxy = .init(url: proxy.url("")) }).failure == nil)
        #expect(proxy.requests.count == 1)
    }

    @Test func linkLocalAllowed() throws {
        // Without an interface the kernel refuses to connect to it: no packet leaves.
        let result = try perform(request("http://[fe80::1]/") { $0.allowsLinkLocal = true })
        #expect(result.failure != nil)
        #expect(result.kind != .addressRefused)
    }

    @Test func unixSocket() throws {
        let path = "/tmp/curl-tests-\(getpid())-\(UInt64.random(in: 0...UInt64.max)).sock"
        let server = try RawServer(answer: response(body: body), socketPath: path)
        defer { server.stop() }
        let result = try perform(request("http://localhost/a") { $0.unixSocket = path })
        #expect(result.failure == nil)
        #expect(result.body == body)
        #expect(server.requests.first?.hasPrefix("GET /a HTTP/1.1\r\n") == true)
        #expect(try perform(request("http://localhost/a") { $0.unixSocket = path + "x" }).kind == .connect)
    }

    @Test func otherSchemes() throws {
        #expect(try perform(request("file:///etc/hostname")).kind == .badResponse)
        #expect(try perform(request("ftp://127.0.0.1/a")).kind == .badResponse)
        #expect(try perform(request("https://127.0.0.1/a")).kind == .badResponse)
        var file = CurlTransfer.Request(url: "http://127.0.0.1/a", schemes: "file")
        file.timeoutMilliseconds = 1_000
        #expect(try perform(file).kind == .badResponse)
    }

    @Test func unknownHost() throws {
        #expect(try perform(request("http://no-such-host.invalid/")).kind == .resolve)
    }

    @Test func manyAtOnce() throws {
        let server = try RawServer([.send(response(body: body)), .receive, .send(response(body: body))])
        defer { server.stop() }
        let multi = try #require(CurlMulti())
        for number in 0..<40 { multi.add(try #require(CurlTransfer(request(server.url("/\(number)"))))) }
        #expect(multi.count == 40)
        let end = Date().addingTimeInterval(20)
        var bodies = 0
        while multi.count > 0, Date() < end {
            multi.perform()
            while let (transfer, failure) = multi.nextDone() {
                #expect(failure == nil)
                if transfer.takeBody() == body { bodies += 1 }
            }
            multi.wait(milliseconds: 100)
        }
        #expect(bodies == 40)
    }

    @Test func brokenOff() throws {
        let server = try RawServer([.hold])
        defer { server.stop() }
        let multi = try #require(CurlMulti())
        let transfer = try #require(CurlTransfer(request(server.url())))
        multi.add(transfer)
        let end = Date().addingTimeInterval(10)
        while server.requests.isEmpty, Date() < end {
            multi.perform()
            multi.wait(milliseconds: 10)
        }
        #expect(server.requests.count == 1)
        multi.remove(transfer)
        multi.remove(transfer)
        #expect(multi.count == 0)
        multi.perform()
        #expect(multi.nextDone().map { _ in true } == nil)
    }

    @Test("A wake-up ends the wait, also one that came before it")
    func wake() throws {
        let multi = try #require(CurlMulti())
        let waker = multi.waker
        waker.wake()
        let start = Date()
        multi.wait(milliseconds: 30_000)
        Thread { waker.wake() }.start()
        multi.wait(milliseconds: 30_000)
        #expect(Date().timeIntervalSince(start) < 20)
    }

    @Test func wakerOutlivesItsHandle() throws {
        var multi = CurlMulti()
        let waker = try #require(multi?.waker)
        multi = nil
        waker.wake()
    }
}
