import AgentConfiguration
import ConfigSnapshot
import Testing

@Suite("Configurations that are read")
struct GoodConfigurationTests {
    @Test func defaults() throws {
        let agent = try parse("sources: {app: {url: \"https://example.com/app.json\"}}")
        #expect(agent.runtimeDirectory == "/run/agent")
        #expect(agent.stateDirectory == "/var/lib/agent")
        #expect((1...256).contains(agent.workers))
        #expect(agent.workers == AgentConfiguration().workers)
        #expect(agent.locks.report == .seconds(60))
        #expect(agent.locks.warnWait == .milliseconds(10))
        let source = try #require(agent.sources.first)
        #expect(agent.sources.count == 1)
        #expect(source.name.text == "app")
        #expect(source.url == "https://example.com/app.json")
        #expect(source.kind == .https)
        #expect(source.path == "/app.json")
        #expect(source.unixSocket == nil)
        #expect(source.format == nil)
        #expect(source.headers.isEmpty)
        #expect(source.maxRedirects == 0)
        #expect(!source.allowLinkLocal)
        #expect(source.timeout == .seconds(30))
        #expect(source.connectTimeout == .seconds(5))
        #expect(source.tls == SourceConfiguration.TLS())
        #expect(source.poll == SourceConfiguration.Poll(min: .seconds(27), max: .seconds(33)))
        #expect(source.retry.base == .seconds(1))
        #expect(source.retry.max == .seconds(60))
        #expect(source.limits.maxBytes == 16 * 1024 * 1024)
        #expect(source.limits.maxDepth == 64)
        #expect(source.limits.maxKeys == 1_000_000)
        #expect(source.required)
    }

    @Test("What is loaded on demand is no layer, and nothing is required of it")
    func onDemand() throws {
        let agent = try parse(
            """
            sources:
              rare: {url: "https://example.com/rare.json", load: on_demand}
              base: {url: "https://example.com/base.json", load: always}
              seldom: {url: "https://example.com/seldom.json", load: on_demand, idle: 2h}
            layers: [base]
            """
        )
        #expect(agent.sources.map(\.name.text) == ["base", "rare", "seldom"])
        #expect(agent.sources.map(\.idle) == [nil, .minutes(10), .hours(2)])
        #expect(agent.sources.map(\.required) == [true, false, false])
        #expect(agent.layers.map(\.name.text) == ["base"])
    }

    @Test func everyKey() throws {
        let agent = try parse(
            """
            runtime_dir: /tmp/run
            state_dir: /tmp/state
            workers: 3
            sources:
              base:
                url: file:///etc/my%20app.yaml
                format: yaml
                poll: {min: 5, max: 10s}
                required: false
              app:
                url: HTTPS://[::1]:8443/a/b.json?x=y
                format: json
                headers: {Authorization: Bearer x, X-Number: "1"}
                max_redirects: 3
                allow_link_local: true
                timeout: 1m
                connect_timeout: 250ms
                tls: {ca: /ca.pem, cert: /c.pem, key: /k.pem}
                poll: 1s
                retry: {base: 2s, max: 1h}
                guard: {max_bytes: 1MiB, max_depth: 8, max_keys: 100}
              side:
                url: http://localhost
                unix_socket: /run/side.sock
            layers: [base, side, app]
            locks: {report: 5m, warn_wait: 250us}
            """
        )
        #expect(agent.runtimeDirectory == "/tmp/run")
        #expect(agent.stateDirectory == "/tmp/state")
        #expect(agent.workers == 3)
        #expect(agent.locks.report == .minutes(5))
        #expect(agent.locks.warnWait == TimeSpan(nanoseconds: 250_000))
        #expect(agent.sources.map(\.name.text) == ["base", "side", "app"])
        let (base, side, app) = (agent.sources[0], agent.sources[1], agent.sources[2])
        #expect(base.kind == .file)
        #expect(base.path == "/etc/my app.yaml")
        #expect(base.format == .yaml)
        #expect(base.poll == SourceConfiguration.Poll(min: .seconds(5), max: .seconds(10)))
        #expect(!base.required)
        #expect(side.kind == .http)
        #expect(side.path == "/")
        #expect(side.unixSocket == "/run/side.sock")
        #expect(app.kind == .https)
        #expect(app.url == "HTTPS://[::1]:8443/a/b.json?x=y")
        #expect(app.path == "/a/b.json")
        #expect(app.format == .json)
        #expect(
            app.headers == [
                HeaderField(name: "Authorization", value: "Bearer x"), HeaderField(name: "X-Number", value: "1"),
            ]
        )
        #expect(app.proxy == nil)
        #expect(app.maxRedirects == 3)
        #expect(app.allowLinkLocal)
        #expect(app.timeout == .seconds(60))
        #expect(app.connectTimeout == .milliseconds(250))
        #expect(
            app.tls
                == SourceConfiguration.TLS(
                    ca: .init(path: "/ca.pem"),
                    certificate: .init(path: "/c.pem"),
                    key: .init(path: "/k.pem")
                )
        )
        // A tenth below one second would be less than a poll may be.
        #expect(app.poll == SourceConfiguration.Poll(min: .seconds(1), max: .milliseconds(1100)))
        #expect(app.retry.base == .seconds(2))
        #expect(app.retry.max == .hours(1))
        #expect(app.limits.maxBytes == 1 << 20)
        #expect(app.limits.maxDepth == 8)
        #expect(app.limits.maxKeys == 100)
    }

    static let urls: [(String, SourceKind, String)] = [
        ("http://x", .http, "/"),
        ("http://x?q", .http, "/"),
        ("http://x/?q=/a", .http, "/"),
        ("http://x:80/a", .http, "/a"),
        ("http://x:65535", .http, "/"),
        ("http://127.0.0.1/a.yaml?b", .http, "/a.yaml"),
        ("http://a-b.c_d.example./x", .http, "/x"),
        ("https://[fe80::1%25eth0]/x", .https, "/x"),
        ("https://[::ffff:1.2.3.4]:1/x", .https, "/x"),
        ("https://x/a@b:c", .https, "/a@b:c"),
        ("file:///a", .file, "/a"),
        ("file:///a/b%3F%25.json", .file, "/a/b?%.json"),
        ("FILE:///%C3%A9", .file, "/é"),
    ]

    @Test(arguments: urls)
    func url(_ url: String, _ scheme: SourceKind, _ path: String) throws {
        let source = try #require(try parse(withSource(url: "\"\(url)\"")).sources.first)
        #expect(source.kind == scheme)
        #expect(source.path == path)
        #expect(source.url == url)
    }

    @Test func layersFollowTheFile() throws {
        let agent = try parse("sources:\n  b: {url: \"http://x\"}\n  a: {url: \"http://x\"}\n")
        #expect(agent.sources.map(\.name.text) == ["b", "a"])
    }

    @Test func emptySections() throws {
        let agent = try parse(withSource("tls: {}", "headers: {}", "retry: {}", "guard: {}") + "locks: {}\n")
        #expect(agent == (try parse(withSource())))
    }
}
