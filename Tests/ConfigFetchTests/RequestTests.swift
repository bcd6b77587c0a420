import ConfigSnapshot
import Curl
import Testing

@testable import ConfigFetch

@Suite("URLs of sources")
struct URLTests {
    @Test(arguments: [
        ("file:///etc/app.json", "/etc/app.json"), ("file://localhost/etc/app.json", "/etc/app.json"),
        ("file:///a%20b/%C3%A9%25", "/a b/é%"), ("file:///a+b", "/a+b"), ("file:////a", "//a"), ("file:///", "/"),
    ])
    func filePaths(url: String, path: String) {
        #expect(FileURL.path(of: url) == path)
    }

    @Test(arguments: [
        "", "file:", "file:/etc/app.json", "file://etc/app.json", "http:///etc/app.json", "/etc/app.json",
        "file:///a%", "file:///a%2", "file:///a%zz", "file:///a%00b", "file:///%FF", "file:///a%+1", "file:///a%-0",
    ])
    func noFilePaths(url: String) {
        #expect(FileURL.path(of: url) == nil)
    }

    @Test("A scheme may be written in any case")
    func schemeInCapitals() {
        #expect(FileURL.path(of: "FILE:///etc/app.json") == "/etc/app.json")
        let own = RequestBuilder.origin(of: "HTTP://Config.Example/a")
        #expect(RequestBuilder.origin(of: "http://config.example/b") == own)
    }

    @Test(arguments: [
        ("https://host.example/a/b.json", "https://host.example/a/b.json"),
        ("https://host.example:8443/a?token=secret", "https://host.example:8443/a?…"),
        ("https://host.example?token=secret", "https://host.example?…"),
        ("https://host.example/a#secret", "https://host.example/a?…"),
        ("https://user:secret@host.example/a", "https://host.example/a"),
        ("https://secret@host.example", "https://host.example"),
        ("https://user:secret@host.example/a?token=secret@x", "https://host.example/a?…"),
        ("file:///etc/app.json", "file:///etc/app.json"),
    ])
    func redacted(url: String, shown: String) {
        #expect(SourceSpec(name: sourceName("a"), kind: .https, url: url, poll: 1...1).redactedURL == shown)
    }

    @Test(
        "Only what stands before the host is a user",
        arguments: [
            "https://host.example/@team/app.json", "https://host.example/a@b", "file:///etc/agent@1.json",
        ]
    )
    func atSignInPath(url: String) {
        #expect(SourceSpec(name: sourceName("a"), kind: .https, url: url, poll: 1...1).redactedURL == url)
    }

    @Test func atSignInPassword() {
        let url = "https://user:sec@ret@host.example/a"
        let shown = SourceSpec(name: sourceName("a"), kind: .https, url: url, poll: 1...1).redactedURL
        #expect(shown == "https://host.example/a")
    }

    @Test(arguments: [
        ("http://a.example/x", "http://a.example"), ("http://a.example:81/x", "http://a.example:81"),
        ("http://a.example", "http://a.example"), ("http://a.example?x=/y/z", "http://a.example"),
        ("https://a.example/x//y", "https://a.example"), ("http://a.example@b.example/x", "http://b.example"),
    ])
    func origins(url: String, origin: String) {
        #expect(RequestBuilder.origin(of: url) == origin)
    }
}

@Suite("Requests for sources")
struct RequestTests {
    private func https(_ change: (inout SourceSpec) -> Void = { _ in }) -> SourceSpec {
        spec("a", .https, "https://a.example/x") { spec in
            spec.headers = [.init("Authorization", "Bearer secret"), .init("X-Team", "blue")]
            spec.certificate = .init(path: "/cert")
            spec.key = .init(path: "/key")
            spec.ca = .init(path: "/ca", bytes: [1])
            spec.pins = ["sha256//x"]
            change(&spec)
        }
    }

    /// As it leaves for `url`, which may be where the source redirected to.
    private func built(
        _ spec: SourceSpec,
        url: String,
        isOwnOrigin: Bool,
        _ validators: Validators
    ) -> CurlTransfer.Request {
        RequestBuilder.request(for: spec, HTTPSource(spec).ask(validators), url: url, isOwnOrigin: isOwnOrigin)
    }

    private func values(_ name: String, in request: CurlTransfer.Request) -> [String] {
        request.headers.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }

    @Test func ownOrigin() {
        let request = built(https(), url: "https://a.example/y", isOwnOrigin: true, .none)
        #expect(request.url == "https://a.example/y")
        #expect(values("authorization", in: request) == ["Bearer secret"])
        #expect(values("x-team", in: request) == ["blue"])
        #expect(request.certificate?.path == "/cert")
        #expect(request.key?.path == "/key")
        #expect(request.ca?.path == "/ca")
        #expect(request.ca?.bytes == [1])
        #expect(request.pins == ["sha256//x"])
        #expect(values("accept-encoding", in: request) == ["gzip"])
        #expect(values("if-none-match", in: request).isEmpty)
        #expect(values("if-modified-since", in: request).isEmpty)
    }

    @Test func otherOrigin() {
        let request = built(https(), url: "https://b.example/y", isOwnOrigin: false, Validators(etag: "\"1\""))
        #expect(values("authorization", in: request).isEmpty)
        #expect(values("x-team", in: request).isEmpty)
        #expect(request.certificate == nil)
        #expect(request.key == nil)
        #expect(request.pins.isEmpty)
        #expect(values("if-none-match", in: request) == ["\"1\""])
    }

    @Test func validators() {
        func request(_ validators: Validators) -> CurlTransfer.Request {
            built(https(), url: "https://a.example/x", isOwnOrigin: true, validators)
        }
        let both = request(Validators(etag: "W/\"a b\"", lastModified: "Sun, 22 Nov 2026 00:00:00 GMT"))
        #expect(values("If-None-Match", in: both) == ["W/\"a b\""])
        #expect(values("If-Modified-Since", in: both).isEmpty)
        let time = request(Validators(lastModified: "Sun, 22 Nov 2026 00:00:00 GMT"))
        #expect(values("If-None-Match", in: time).isEmpty)
        #expect(values("If-Modified-Since", in: time) == ["Sun, 22 Nov 2026 00:00:00 GMT"])
    }

    @Test("A configured header replaces ours, in whatever case it is written")
    func overrides() {
        let changed = https {
            $0.headers = [.init("ACCEPT", "application/x-own"), .init("accept-encoding", "identity")]
        }
        let request = built(changed, url: changed.url, isOwnOrigin: true, Validators(etag: "\"1\""))
        #expect(values("Accept", in: request) == ["application/x-own"])
        #expect(values("Accept-Encoding", in: request) == ["identity"])
        #expect(values("If-None-Match", in: request) == ["\"1\""])
    }

    @Test(arguments: [
        (SourceKind.https, "https://y/z", "https"), (.http, "http://y/z", "http,https"),
        (.etcd, "etcd://y/z", "https"), (.etcd, "etcd+http://y/z", "http,https"),
    ])
    func schemes(kind: SourceKind, url: String, schemes: String) throws {
        let one = spec("a", kind, url)
        let wanted = try #require(one.makeClient()).ask(.none)
        let request = RequestBuilder.request(for: one, wanted, url: wanted.url, isOwnOrigin: true)
        #expect(request.schemes == schemes)
    }

    @Test("Who the agent is, in whatever form, is for the source's own origin alone")
    func authElsewhere() throws {
        let sources = [
            spec("a", .https, "https://a.example/x") { $0.auth.token = "planted" },
            spec("a", .https, "https://a.example/x") {
                $0.auth.user = "planted"
                $0.auth.password = "planted"
            },
            spec("a", .consul, "consul://a.example/x") { $0.auth.token = "planted" },
            spec("a", .nacos, "nacos://a.example/x") { $0.auth.token = "planted" },
            spec("a", .s3, "s3://a/x") {
                $0.auth.awsKeys = .init(id: "planted", secret: "planted", sessionToken: "planted")
            },
        ]
        for source in sources {
            let wanted = try #require(source.makeClient()).ask(.none)
            let own = RequestBuilder.request(for: source, wanted, url: wanted.url, isOwnOrigin: true)
            #expect(own.headers.contains { $0.value.contains("planted") || $0.value.hasPrefix("Basic ") })
            let other = RequestBuilder.request(for: source, wanted, url: "https://b.example/", isOwnOrigin: false)
            #expect(!other.headers.contains { $0.value.contains("planted") || $0.value.hasPrefix("Basic ") })
            #expect(other.signature == nil)
            #expect(!own.url.contains("planted"))
        }
    }

    @Test func limits() {
        let one = spec("a", .http, "http://localhost/x") { spec in
            spec.unixSocket = "/run/x.sock"
            spec.timeoutMilliseconds = 11
            spec.connectTimeoutMilliseconds = 12
            spec.maxBytes = 13
            spec.allowsLinkLocal = true
        }
        let request = built(one, url: one.url, isOwnOrigin: true, .none)
        #expect(request.unixSocket == "/run/x.sock")
        #expect(request.timeoutMilliseconds == 11)
        #expect(request.connectTimeoutMilliseconds == 12)
        #expect(request.maxBodyBytes == 13)
        #expect(request.allowsLinkLocal)
    }
}
