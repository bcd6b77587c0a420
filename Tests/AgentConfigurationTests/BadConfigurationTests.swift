import AgentConfiguration
import ConfigSnapshot
import Testing

private let knownSchemes =
    "http, https, file, etcd, consul, nacos, s3, appconfig, etcd+http, consul+http, nacos+http"

@Suite("Configurations that are refused")
struct BadConfigurationTests {
    static let root: [Bad] = [
        Bad(
            "",
            "agent.yaml:1:1: sources: no source is configured; add one, as in 'sources: {app: {url: "
                + "https://example.com/app.json}}'"
        ),
        Bad(
            "# nothing\n",
            "agent.yaml:1:1: sources: no source is configured; add one, as in 'sources: {app: {url: "
                + "https://example.com/app.json}}'"
        ),
        Bad(
            "workers: 2\nsources: {}\n",
            "agent.yaml:2:1: sources: no source is configured; add one, as in 'sources: {app: {url: "
                + "https://example.com/app.json}}'"
        ),
        Bad("- a\n", "agent.yaml:1:1: not a mapping of keys to values"),
        Bad("text\n", "agent.yaml:1:1: not a mapping of keys to values"),
        Bad("a: [\n", "agent.yaml:2:1: did not find expected node content (while parsing a flow node of line 2)"),
        Bad(
            "workers: 1\nworkers: 2\n",
            "agent.yaml:2:1: 'workers' stands twice in one mapping"
        ),
        Bad(
            "sources: &s {}\n",
            "agent.yaml:1:10: the anchor '&s' is not allowed: aliases are not read either"
        ),
        Bad(
            "sources:\n",
            "agent.yaml:1:9: sources: expected a mapping of keys to values, found nothing; give it a value, or "
                + "remove the key"
        ),
        Bad(
            "sources: [app]\n",
            "agent.yaml:1:10: sources: expected a mapping of keys to values, found a list; write them below it, "
                + "indented"
        ),
        Bad(
            withSource() + "worker: 2\n",
            "agent.yaml:4:1: worker: unknown key; did you mean 'workers'?"
        ),
        Bad(
            withSource() + "zzzzzzzz: 2\n",
            "agent.yaml:4:1: zzzzzzzz: unknown key; known here: runtime_dir, state_dir, workers, sources, layers, history, locks, limits"
        ),
        Bad(
            withSource() + "workers: 0\n",
            "agent.yaml:4:10: workers: 0 is out of range; allowed are 1 to 256"
        ),
        Bad(
            withSource() + "workers: 257\n",
            "agent.yaml:4:10: workers: 257 is out of range; allowed are 1 to 256"
        ),
        Bad(
            withSource() + "workers: \"2\"\n",
            "agent.yaml:4:10: workers: expected a whole number, found '2'; write it in digits, without quotes"
        ),
        Bad(
            withSource() + "workers: 2.5\n",
            "agent.yaml:4:10: workers: expected a whole number, found the number 2.5; write it in digits, without quotes"
        ),
        Bad(
            withSource() + "runtime_dir: run/agent\n",
            "agent.yaml:4:14: runtime_dir: 'run/agent' is not an absolute path; begin it with '/'"
        ),
        Bad(
            withSource() + "runtime_dir: /\(String(repeating: "x", count: 80))\n",
            "agent.yaml:4:14: runtime_dir: a path of more than 80 bytes; choose a shorter one"
        ),
        Bad(
            withSource() + "state_dir: 5\n",
            "agent.yaml:4:12: state_dir: expected text, found the number 5; put it in quotes"
        ),
        Bad(
            withSource() + "locks: {report: 0, warn_wait: 2h, warn: 1}\n",
            "agent.yaml:4:17: locks.report: 0s is out of range; allowed are 100ms to 1d",
            "agent.yaml:4:31: locks.warn_wait: 2h is out of range; allowed are 1us to 1h",
            "agent.yaml:4:35: locks.warn: unknown key; known here: report, warn_wait"
        ),
    ]

    static let sources: [Bad] = [
        Bad(
            "sources:\n  app: {}\n",
            "agent.yaml:2:3: sources.app.url: is missing; say where the document is, as in 'url: "
                + "https://example.com/app.json'"
        ),
        Bad(
            "sources:\n  app: https://example.com/\n",
            "agent.yaml:2:8: sources.app: expected a mapping of keys to values, found 'https://example.com/'; write "
                + "them below it, indented"
        ),
        Bad(
            "sources:\n  a.b: {url: \"http://x\"}\n",
            "agent.yaml:2:3: sources.\"a.b\": 'a.b' cannot be a source's name; use up to 64 letters, digits, '-' and "
                + "'_', a letter or a digit first"
        ),
        Bad(
            "sources:\n  -x: {url: \"http://x\", poll: 1ms}\n",
            "agent.yaml:2:3: sources.-x: '-x' cannot be a source's name; use up to 64 letters, digits, '-' and "
                + "'_', a letter or a digit first",
            "agent.yaml:2:31: sources.-x.poll: 1ms is out of range; allowed are 1s to 30d"
        ),
        Bad(withSource("urls: x"), "agent.yaml:4:5: sources.app.urls: unknown key; did you mean 'url'?"),
        Bad(
            withSource("guard: {max_byte: 1}"),
            "agent.yaml:4:13: sources.app.guard.max_byte: unknown key; did you mean 'max_bytes'?"
        ),
        Bad(
            withSource("guard:", "  max_bytes: 0", "  max_depth: 513", "  max_keys: -1"),
            "agent.yaml:5:18: sources.app.guard.max_bytes: 0 is out of range; allowed are 1 to 1GiB",
            "agent.yaml:6:18: sources.app.guard.max_depth: 513 is out of range; allowed are 1 to 512",
            "agent.yaml:7:17: sources.app.guard.max_keys: -1 is out of range; allowed are 1 to 10000000"
        ),
        Bad(
            withSource("guard: {max_bytes: 16 megs}"),
            "agent.yaml:4:24: sources.app.guard.max_bytes: '16 megs' is not a size; write it as in 4096, 16KiB, "
                + "16MiB or 1GiB; kB, MB and GB are decimal"
        ),
        Bad(
            withSource("guard: {max_bytes: [1]}"),
            "agent.yaml:4:24: sources.app.guard.max_bytes: expected a size, as in 16MiB, found a list; write a single "
                + "value"
        ),
        Bad(
            withSource("format: yml"),
            "agent.yaml:4:13: sources.app.format: 'yml' is not a format; known are json and yaml"
        ),
        Bad(
            withSource("format:"),
            "agent.yaml:4:12: sources.app.format: expected text, found nothing; give it a value, or remove the key"
        ),
        Bad(
            withSource("prefer: latency"),
            "agent.yaml:4:5: sources.app.prefer: has no effect without 'mirrors'; remove it, or add them"
        ),
        Bad(
            withSource("prefer: best", "mirrors: [https://b.example/x]"),
            "agent.yaml:4:13: sources.app.prefer: 'best' is nothing to prefer a place for; known are order and latency"
        ),
        Bad(
            withSource("load: lazy"),
            "agent.yaml:4:11: sources.app.load: 'lazy' is no way to load a source; known are always and on_demand"
        ),
        Bad(
            withSource("idle: 5m"),
            "agent.yaml:4:5: sources.app.idle: has no effect with a source that is always loaded; remove it, or write "
                + "'load: on_demand'"
        ),
        Bad(
            withSource("load: always", "idle: 5m"),
            "agent.yaml:5:5: sources.app.idle: has no effect with a source that is always loaded; remove it, or write "
                + "'load: on_demand'"
        ),
        Bad(
            withSource("load: on_demand", "idle: 10ms", "required: true"),
            "agent.yaml:5:11: sources.app.idle: 10ms is out of range; allowed are 1s to 30d",
            "agent.yaml:6:5: sources.app.required: has no effect with 'load: on_demand'; remove it: nobody waits for "
                + "what nobody has asked for"
        ),
        Bad(
            withSource("load: on_demand") + "layers: [app]\n",
            "agent.yaml:5:10: layers: 'app' is loaded on demand, and so is no layer; remove it here, or "
                + "'load: on_demand' there"
        ),
        Bad(
            withSource("required: yes"),
            "agent.yaml:4:15: sources.app.required: expected true or false, found 'yes'; write one of these two, "
                + "without quotes"
        ),
        Bad(
            withSource("max_redirects: 11"),
            "agent.yaml:4:20: sources.app.max_redirects: 11 is out of range; allowed are 0 to 10"
        ),
        Bad(
            withSource("allow_link_local: 1"),
            "agent.yaml:4:23: sources.app.allow_link_local: expected true or false, found the number 1; write one of "
                + "these two, without quotes"
        ),
        Bad(
            withSource("timeout: 5 minutes"),
            "agent.yaml:4:14: sources.app.timeout: '5 minutes' is not a length of time; write it as in 45s, 10ms, "
                + "1.5s or 1h30m; the units are d, h, m, s, ms, us and ns, longest first"
        ),
        Bad(
            withSource("timeout: 0", "connect_timeout: 2h"),
            "agent.yaml:4:14: sources.app.timeout: 0s is out of range; allowed are 10ms to 1h",
            "agent.yaml:5:22: sources.app.connect_timeout: 2h is out of range; allowed are 10ms to 1h"
        ),
        Bad(
            withSource("poll: 500ms"),
            "agent.yaml:4:11: sources.app.poll: 500ms is out of range; allowed are 1s to 30d"
        ),
        Bad(
            withSource("poll: {min: 500ms, max: 10s}"),
            "agent.yaml:4:17: sources.app.poll.min: 500ms is out of range; allowed are 1s to 30d"
        ),
        Bad(
            withSource("poll: {min: 10s}"),
            "agent.yaml:4:5: sources.app.poll: needs both 'min' and 'max'; or write one length of time"
        ),
        Bad(
            withSource("poll: {min: 10s, max: 5s}"),
            "agent.yaml:4:5: sources.app.poll: 'min' (10s) is longer than 'max' (5s); swap them"
        ),
        Bad(
            withSource("poll: true"),
            "agent.yaml:4:11: sources.app.poll: expected a length of time, as in 30s, found true or false; write a "
                + "single value"
        ),
        Bad(
            withSource("retry: {base: 2m}"),
            "agent.yaml:4:5: sources.app.retry: 'base' (2m) is longer than 'max' (1m); make 'base' shorter or 'max' "
                + "longer"
        ),
        Bad(
            withSource("tls: {cert: /c.pem}"),
            "agent.yaml:4:11: sources.app.tls.cert: 'cert' without 'key'; a client certificate needs both"
        ),
        Bad(
            withSource("tls: {key: /k.pem, ca: ca.pem}"),
            "agent.yaml:4:11: sources.app.tls.key: 'key' without 'cert'; a client certificate needs both",
            "agent.yaml:4:28: sources.app.tls.ca: 'ca.pem' is not an absolute path; begin it with '/'"
        ),
        Bad(
            withSource("tls: {ca: /ca.pem}", url: "http://example.com/"),
            "agent.yaml:4:5: sources.app.tls: has no effect with http; remove it: it is for https, etcd, consul, nacos, s3 "
                + "and appconfig only"
        ),
        Bad(
            withSource("tls: {pin: [sha256//abc, sha1//x]}"),
            "agent.yaml:4:17: sources.app.tls.pin: 'sha256//abc' is not a public key's digest; write 'sha256//' and the "
                + "SHA-256 of the public key in base64; agent.yaml(5) says how to get it",
            "agent.yaml:4:30: sources.app.tls.pin: 'sha1//x' is not a public key's digest; write 'sha256//' and the "
                + "SHA-256 of the public key in base64; agent.yaml(5) says how to get it"
        ),
        Bad(
            withSource("proxy: {url: http://p, user: a, password: 12345678}"),
            "agent.yaml:4:47: sources.app.proxy.password: expected text, found a number; put it in quotes"
        ),
        Bad(
            withSource("tls: {ca: /ca.pem}", url: "etcd+http://h/k"),
            "agent.yaml:4:5: sources.app.tls: has no effect with 'etcd+http://h/k', which is not HTTPS; remove it, or use "
                + "HTTPS there"
        ),
        Bad(
            withSource("proxy: http://u:p@p:1"),
            "agent.yaml:4:12: sources.app.proxy: a URL with a user name or a password; leave it out and write it beside "
                + "the URL: 'proxy: {url: …, user: …, password: …}'"
        ),
        Bad(
            withSource("proxy: {user: a}"),
            "agent.yaml:4:5: sources.app.proxy: needs 'url'; as in 'url: http://proxy.example.com:3128'"
        ),
        Bad(
            withSource("proxy: {url: http://p/x, user: a}"),
            "agent.yaml:4:18: sources.app.proxy.url: 'http://p/x' is not a server's address; write it as in "
                + "http://proxy.example.com:3128"
        ),
        Bad(
            withSource("proxy: {url: http://p, password: a}"),
            "agent.yaml:4:28: sources.app.proxy.password: 'password' without 'user'; it needs both"
        ),
        Bad(
            withSource("unix_socket: /s", "proxy: http://p", url: "http://x/"),
            "agent.yaml:5:5: sources.app.proxy: beside 'unix_socket'; a Unix socket is reached without one"
        ),
        Bad(
            withSource("unix_socket: /s"),
            "agent.yaml:4:5: sources.app.unix_socket: has no effect with https; remove it: it is for http only"
        ),
        Bad(
            withSource("unix_socket: \"/\(String(repeating: "s", count: 107))\"", url: "http://x/"),
            "agent.yaml:4:18: sources.app.unix_socket: a path of more than 107 bytes; choose a shorter one"
        ),
        Bad(
            withSource("headers: {A: b}", "max_redirects: 1", url: "file:///etc/app.json"),
            "agent.yaml:4:5: sources.app.headers: has no effect with file; remove it: it is for http, https, etcd, "
                + "consul, nacos, s3 and appconfig only",
            "agent.yaml:5:5: sources.app.max_redirects: has no effect with file; remove it: it is for http and https "
                + "only"
        ),
        Bad(
            withSource("region: Here", "auth: {token: 1}", url: "s3://b/k"),
            "agent.yaml:4:13: sources.app.region: 'Here' is not a region; write it as in eu-central-1",
            "agent.yaml:5:12: sources.app.auth.token: unknown key; known here: access_key, secret_key, session_token"
        ),
        Bad(
            withSource("auth: {access_key: a}", url: "appconfig://a/b/c"),
            "agent.yaml:2:3: sources.app.region: is missing; name the region that requests are signed for, as in "
                + "eu-central-1",
            "agent.yaml:4:12: sources.app.auth.access_key: 'access_key' without 'secret_key'; it needs both"
        ),
        Bad(
            withSource("auth: {user: a, password: b, token: c}"),
            "agent.yaml:4:34: sources.app.auth.token: both a token and a user; give one of the two"
        ),
        Bad(
            withSource("auth: {token: c}", "headers: {authorization: x}"),
            "agent.yaml:4:5: sources.app.auth: beside a header 'Authorization', which says the same; give one of the two"
        ),
        Bad(
            withSource("auth: {password: 12345, user: u}"),
            "agent.yaml:4:22: sources.app.auth.password: expected text, found a number; put it in quotes"
        ),
        Bad(
            withSource("watch: false", "endpoint: https://h/path"),
            "agent.yaml:4:5: sources.app.watch: has no effect with https; remove it: it is for file, etcd, consul and "
                + "nacos only",
            "agent.yaml:5:5: sources.app.endpoint: has no effect with https; remove it: it is for s3 and appconfig only",
            "agent.yaml:5:15: sources.app.endpoint: 'https://h/path' is not a server's address; write it as in "
                + "https://s3.example.com"
        ),
        Bad(
            withSource("poll: {min: 5s, wait: 1h}"),
            "agent.yaml:4:5: sources.app.poll: needs both 'min' and 'max'; or write one length of time"
        ),
    ]

    static let headers: [Bad] = [
        Bad(
            withSource("headers: {\"a b\": x}"),
            "agent.yaml:4:15: sources.app.headers.a b: 'a b' is not a header's name; use letters, digits and '-'"
        ),
        Bad(
            withSource("headers: {\"a:\": x, \"\": y}"),
            "agent.yaml:4:15: sources.app.headers.a:: 'a:' is not a header's name; use letters, digits and '-'",
            "agent.yaml:4:24: sources.app.headers.\"\": '' is not a header's name; use letters, digits and '-'"
        ),
        Bad(
            withSource("headers: {A: \"secret\\r\\nB: c\"}"),
            "agent.yaml:4:15: sources.app.headers.A: a line break, a control character or a letter that is not ASCII "
                + "in a header's value; remove it; a block ('|') ends in a line break, '|-' does not"
        ),
        Bad(
            withSource("headers: {A: 1}"),
            "agent.yaml:4:18: sources.app.headers.A: expected text, found a number; put it in quotes"
        ),
        Bad(
            withSource("headers: {If-None-Match: x}"),
            "agent.yaml:4:15: sources.app.headers.If-None-Match: the agent sets this header itself; remove it"
        ),
        Bad(
            withSource("headers: {A: x, a: y}"),
            "agent.yaml:4:21: sources.app.headers.a: the same header as one above it; case makes no difference: "
                + "remove one"
        ),
    ]

    static let layers: [Bad] = [
        Bad(
            withSource() + "layers: [ap]\n",
            "agent.yaml:2:3: sources.app: never read: not among the layers; add it to 'layers' or remove it",
            "agent.yaml:4:10: layers: there is no source 'ap'; did you mean 'app'?"
        ),
        Bad(
            withSource() + "layers: [app, other-one]\n",
            "agent.yaml:4:15: layers: there is no source 'other-one'; known here: app"
        ),
        Bad(
            withSource() + "layers: [app, app]\n",
            "agent.yaml:4:15: layers: 'app' stands here twice; remove one of them"
        ),
        Bad(
            withSource() + "layers: app\n",
            "agent.yaml:4:9: layers: expected a list, found 'app'; write it as in [one, two]"
        ),
        Bad(
            withSource() + "layers: [app, 1]\n",
            "agent.yaml:4:15: layers: expected text, found the number 1; put it in quotes"
        ),
    ]

    @Test(arguments: root + sources + headers + layers)
    func isRefused(_ row: Bad) { #expect(complaints(row.text) == row.expected) }

    /// `URL` stands in the place of the URL, and the message is expected at its beginning.
    static let urls: [(String, String)] = [
        ("example.com", "this is not a URL; write it as in https://example.com/app.json"),
        ("://x", "this is not a URL; write it as in https://example.com/app.json"),
        ("http:/x", "this is not a URL; write it as in https://example.com/app.json"),
        ("ftp://x/", "the scheme 'ftp' is unknown; known are \(knownSchemes)"),
        ("s3+http://x/k", "the scheme 's3+http' is unknown; known are \(knownSchemes)"),
        ("s3://b/k?versionId=7", "the query's 'versionId' means nothing here; this kind of source knows none"),
        ("consul://h/k?dc=a&token=x", "the query's 'token' means nothing here; known are dc, ns, partition"),
        ("s3://bucket/", "a URL without an object's key; write it as in s3://bucket/path/app.json"),
        (
            "etcd://h:1/",
            "a URL without a key; write etcd://host:2379/app.json for one key, or etcd://host:2379/app/ for all below"
        ),
        ("nacos://h:1/", "a URL without a data id; write it as in nacos://host:8848/group/data-id"),
        (
            "appconfig://a/b",
            "a URL that does not name an application, an environment and a profile; write it as in "
                + "appconfig://application/environment/profile"
        ),
        ("consul://:1/k", "a URL without a usable host name; write it as in https://example.com/app.json"),
        ("http://", "a URL without a usable host name; write it as in https://example.com/app.json"),
        ("http:///x", "a URL without a usable host name; write it as in https://example.com/app.json"),
        ("http://?x", "a URL without a usable host name; write it as in https://example.com/app.json"),
        ("http://:80/", "a URL without a usable host name; write it as in https://example.com/app.json"),
        ("http://a,b/", "a URL without a usable host name; write it as in https://example.com/app.json"),
        ("http://[::1/", "a URL without a usable host name; write it as in https://example.com/app.json"),
        ("http://[::1]x/", "a URL without a usable host name; write it as in https://example.com/app.json"),
        ("http://[x]/", "a URL without a usable host name; write it as in https://example.com/app.json"),
        ("http://x:/", "'' is not a port; a port is 1 to 65535"),
        ("http://x:0/", "'0' is not a port; a port is 1 to 65535"),
        ("http://x:65536/", "'65536' is not a port; a port is 1 to 65535"),
        ("http://x:+80/", "'+80' is not a port; a port is 1 to 65535"),
        (
            "https://user:secret@example.com/",
            "a URL with a user name or a password; leave it out and write it beside the URL: 'auth: {user: …, password: …}'"
        ),
        (
            "https://user@example.com",
            "a URL with a user name or a password; leave it out and write it beside the URL: 'auth: {user: …, password: …}'"
        ),
        (
            "consul://user@x/a",
            "a URL with a user name or a password; leave it out and write it beside the URL: 'auth: {token: …}'"
        ),
        (
            "s3://key:secret@bucket/a",
            "a URL with a user name or a password; leave it out and write it beside the URL: "
                + "'auth: {access_key: …, secret_key: …}'"
        ),
        ("https://x/#y", "a URL with a fragment ('#…'); leave it out: a fragment is never sent"),
        ("file://x/y", "a file URL without an absolute path; write it as in file:///etc/agent/app.json"),
        ("file:///", "a file URL without an absolute path; write it as in file:///etc/agent/app.json"),
        ("file:///x?y", "a file URL with a query ('?…'); write %3F for a '?' in a file's name"),
        (
            "file:///x%2",
            "a file URL with a '%' that two hexadecimal digits do not follow, or that is no UTF-8; write %25 for a "
                + "'%' in a file's name"
        ),
        (
            "file:///x%00",
            "a file URL with a '%' that two hexadecimal digits do not follow, or that is no UTF-8; write %25 for a "
                + "'%' in a file's name"
        ),
        (
            "http://x/a b",
            "the URL holds a space, a control character or a letter that is not ASCII; percent-encode it"
        ),
        (
            "http://ü/",
            "the URL holds a space, a control character or a letter that is not ASCII; percent-encode it"
        ),
        (
            "http://x/\\n",
            "the URL holds a space, a control character or a letter that is not ASCII; percent-encode it"
        ),
    ]

    @Test(arguments: urls)
    func url(_ url: String, _ expected: String) {
        #expect(complaints(withSource(url: "\"\(url)\"")) == ["agent.yaml:3:10: sources.app.url: \(expected)"])
    }

    @Test func urlOfAnotherKind() {
        #expect(
            complaints("sources: {app: {url: 5}}")
                == ["agent.yaml:1:22: sources.app.url: expected text, found the number 5; put it in quotes"]
        )
    }

    /// All that is wrong comes at once and in the order of the lines.
    @Test func everythingAtOnce() {
        let text = """
            workers: many
            sources:
              one:
                ulr: http://x
                poll: fast
              two:
                url: gopher://x
                guard: {max_keys: 0}
              three: {url: "http://x"}
            layers: [two, four]
            colour: red
            """
        #expect(
            complaints(text) == [
                "agent.yaml:1:10: workers: expected a whole number, found 'many'; write it in digits, without quotes",
                "agent.yaml:3:3: sources.one.url: is missing; say where the document is, as in 'url: "
                    + "https://example.com/app.json'",
                "agent.yaml:3:3: sources.one: never read: not among the layers; add it to 'layers' or remove it",
                "agent.yaml:4:5: sources.one.ulr: unknown key; did you mean 'url'?",
                "agent.yaml:5:11: sources.one.poll: 'fast' is not a length of time; write it as in 45s, 10ms, 1.5s or "
                    + "1h30m; the units are d, h, m, s, ms, us and ns, longest first",
                "agent.yaml:7:10: sources.two.url: the scheme 'gopher' is unknown; known are \(knownSchemes)",
                "agent.yaml:8:23: sources.two.guard.max_keys: 0 is out of range; allowed are 1 to 10000000",
                "agent.yaml:9:3: sources.three: never read: not among the layers; add it to 'layers' or remove it",
                "agent.yaml:10:15: layers: there is no source 'four'; known here: one, two, three",
                "agent.yaml:11:1: colour: unknown key; known here: runtime_dir, state_dir, workers, sources, layers, "
                    + "history, locks, limits",
            ]
        )
    }

    @Test func fields() throws {
        let errors = try #require(throws: ConfigurationErrors.self) { try parse(withSource("poll: 1ms")) }
        let error = ConfigurationError(
            file: "agent.yaml",
            line: 4,
            column: 11,
            key: "sources.app.poll",
            what: "1ms is out of range",
            advice: "allowed are 1s to 30d"
        )
        #expect(errors.list == [error])
    }
}
