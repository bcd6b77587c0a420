internal import Foundation

/// A certificate authority with a name that no other has, and certificates of its own for 127.0.0.1, made by openssl.
public struct Certificates: Sendable {
    public let directory: TemporaryDirectory

    public init() throws {
        directory = try TemporaryDirectory(prefix: "tls")
        try make(
            """
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
              -subj /CN=authority-\(UUID().uuidString) -keyout ca.key -out ca.pem
            """
        )
        try issue("server")
    }

    public var authority: String { directory.path("ca.pem") }
    public func certificate(_ name: String) -> String { directory.path("\(name).pem") }
    public func key(_ name: String) -> String { directory.path("\(name).key") }

    /// Makes a key and a certificate of this name.
    ///
    /// - Parameters:
    ///   - address: whose certificate it is.
    ///   - daysAgo: when it was made; it is good for two days.
    public func issue(_ name: String, for address: String = "127.0.0.1", daysAgo: Int = 0) throws {
        try directory.write("names", "subjectAltName=IP:\(address)\n")
        let then = daysAgo > 0 ? "faketime -f -\(daysAgo)d" : ""
        try make(
            """
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
              -subj /CN=\(name) -keyout \(name).key -out \(name).csr
            \(then) openssl x509 -req -in \(name).csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
              -extfile names -out \(name).pem
            """
        )
    }

    /// The digest of a certificate's public key, as it is pinned.
    public func pin(_ name: String) throws -> String {
        let output = try Program.check([
            "sh", "-c",
            """
            openssl x509 -in \(certificate(name)) -pubkey -noout | openssl pkey -pubin -outform der \
              | openssl dgst -sha256 -binary | openssl base64
            """,
        ])
        return "sha256//" + output.filter { !$0.isWhitespace }
    }

    private func make(_ commands: String) throws {
        try Program.check(["sh", "-c", "set -e; cd \(directory.path)\n\(commands)"])
    }

    /// A `server` block of nginx with the certificate of that name.
    public func server(
        port: UInt16,
        root: String,
        protocols: String = "TLSv1.2 TLSv1.3",
        certificate name: String = "server",
        _ more: String = "access_log off;"
    ) -> String {
        """
        server {
            listen 127.0.0.1:\(port) ssl http2;
            root \(root);
            ssl_protocols \(protocols);
            ssl_certificate \(certificate(name));
            ssl_certificate_key \(key(name));
            \(more)
        }
        """
    }
}
