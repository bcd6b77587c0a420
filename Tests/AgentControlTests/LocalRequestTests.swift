import NIOHTTP1
import Testing

@testable import AgentControl

@Suite("Targets of requests")
struct LocalRequestTests {
    private func request(_ target: String) -> LocalRequest? {
        LocalRequest(HTTPRequestHead(version: .http1_1, method: .GET, uri: target))
    }

    @Test(arguments: [
        ("/", "/"), ("/v1/config/a.b", "/v1/config/a.b"), ("/a%2Fb", "/a/b"), ("/%C3%A9", "/é"), ("/%41%62", "/Ab"),
        ("/a%25b", "/a%b"), ("/a+b", "/a+b"), ("/%22a.b%22", "/\"a.b\""), ("/a%3Fb", "/a?b"), ("/a%00", "/a\u{0}"),
        ("//a", "//a"), ("/..", "/.."),
    ])
    func paths(target: String, path: String) throws {
        let read = try #require(request(target))
        #expect(read.path == path)
        #expect(read.query.isEmpty)
    }

    @Test(arguments: [
        "", "a", "*", "http://localhost/a", "?a", "/%", "/%2", "/%2x", "/%zz", "/a%FF", "/%C3", "/?a=%", "/?%FF=1",
        "/%+1", "/%-1", "/?a=%+f",
    ])
    func bad(target: String) {
        #expect(request(target) == nil)
    }

    @Test func queries() throws {
        func query(_ target: String) throws -> [String: String] { try #require(request(target)).query }
        #expect(try query("/?") == [:])
        #expect(try query("/?a") == ["a": ""])
        #expect(try query("/?a=") == ["a": ""])
        #expect(try query("/?a=b=c") == ["a": "b=c"])
        #expect(try query("/?a=1&b=2&&c") == ["a": "1", "b": "2", "c": ""])
        #expect(try query("/?a%26b=%3D%3F") == ["a&b": "=?"])
        #expect(try query("/?=x") == ["": "x"])
        #expect(try query("/?a=1?2") == ["a": "1?2"])
        #expect(try #require(request("/x?a=1")).path == "/x")
    }
}
