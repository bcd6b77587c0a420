import Curl
import Glibc
import Testing

@Suite struct LocalClientTests {
    private func client(_ server: LocalServer, timeout: Int = 20_000, maxBytes: Int = 1000) -> LocalClient {
        LocalClient(socketPath: server.path, timeoutMilliseconds: timeout, maxBytes: maxBytes)
    }

    @Test func asksAndListens() throws {
        let server = try LocalServer(
            answer: "HTTP/1.1 404 Not Found\r\nAgent-Generation: 42\r\nX-Twice: a\r\nx-twice: b\r\n"
                + "Content-Length: 5\r\n\r\nhello"
        )
        let path = "/v1/config/" + LocalClient.percentEncoded("a/../b.\"x y\".ü")
        let response = try client(server).request(path: path, headers: [("If-None-Match", "\"7\"")])
        #expect(response.status == 404)
        #expect(response.body == Array("hello".utf8))
        #expect(response.header("agent-generation") == "42")
        #expect(response.header("X-TWICE") == "a")
        #expect(response.header("etag") == nil)
        #expect(server.request.hasPrefix("GET /v1/config/a%2F..%2Fb.%22x%20y%22.%C3%BC HTTP/1.1\r\n"))
        #expect(server.request.contains("\r\nHost: localhost\r\n"))
        #expect(server.request.contains("\r\nIf-None-Match: \"7\"\r\n"))
    }

    @Test func postsWithoutABody() throws {
        let server = try LocalServer(answer: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        let response = try client(server).request(.post, path: "/v1/refresh?source=app")
        #expect(response.status == 200)
        #expect(response.body.isEmpty)
        #expect(server.request.hasPrefix("POST /v1/refresh?source=app HTTP/1.1\r\n"))
        #expect(server.request.contains("\r\nContent-Length: 0\r\n"))
    }

    @Test func keysOfDotsAreNotStepsUpwards() throws {
        let server = try LocalServer(answer: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        _ = try client(server).request(path: "/v1/config/..")
        #expect(server.request.hasPrefix("GET /v1/config/.. HTTP/1.1\r\n"))
    }

    @Test func redirectsAreAnswersLikeOthers() throws {
        let server = try LocalServer(
            answer: "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
        )
        #expect(try client(server).request(path: "/").status == 302)
    }

    @Test func theBodyIsBounded() throws {
        let body = String(repeating: "x", count: 1001)
        let server = try LocalServer(answer: "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n\(body)")
        #expect(throws: LocalClient.Failure.tooLarge) { try client(server).request(path: "/") }
    }

    @Test func aSilentServerIsLeft() throws {
        let server = try LocalServer(answer: nil)
        #expect(throws: LocalClient.Failure.timeout) { try client(server, timeout: 100).request(path: "/") }
    }

    @Test func aStreamThatDoesNotBeginIsLeft() throws {
        let server = try LocalServer(answer: nil)
        #expect(throws: LocalClient.Failure.timeout) {
            try client(server, timeout: 100).stream(path: "/", silenceSeconds: 3_600) { _ in true }
        }
    }

    @Test func aServerThatHangsUpIsNamed() throws {
        let server = try LocalServer(answer: "")
        #expect {
            try client(server).request(path: "/")
        } throws: { error in
            if case LocalClient.Failure.hungUp = error { true } else { false }
        }
    }

    @Test func saysWhyItDoesNotGetThrough() throws {
        let path = LocalServer.newPath()
        let client = LocalClient(socketPath: path)
        #expect(throws: LocalClient.Failure.noSuchSocket) { try client.request(path: "/") }
        // Bound once, and left behind by a program that is gone.
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        LocalServer.listen(listener, at: path)
        close(listener)
        defer { unlink(path) }
        #expect(throws: LocalClient.Failure.refused) { try client.request(path: "/") }
        let long = LocalClient(socketPath: "/tmp/" + String(repeating: "x", count: 103))
        #expect {
            try long.request(path: "/")
        } throws: { error in
            if case LocalClient.Failure.other(let text) = error { text.contains("107 bytes") } else { false }
        }
    }

    @Test(.enabled(if: geteuid() != 0, "root may use every socket"))
    func saysThatItHasNoPermission() throws {
        let server = try LocalServer(answer: "")
        chmod(server.path, 0)
        #expect(throws: LocalClient.Failure.noPermission) { try client(server).request(path: "/") }
    }
}
