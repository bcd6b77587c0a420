import AgentAPI
import Testing

@testable import AgentDoctor

@Suite("Certificates")
struct CertificateTests {
    /// Made by openssl; its end is a UTCTime, with two digits for the year.
    private static let short = """
        -----BEGIN CERTIFICATE-----
        MIIBbDCCAROgAwIBAgIUbsZKhNok4jl9252KKzeynzIu+OQwCgYIKoZIzj0EAwIw
        DDEKMAgGA1UEAwwBeDAeFw0yNjExMjIxODM4MjRaFw0yNjExMjUxODM4MjRaMAwx
        CjAIBgNVBAMMAXgwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQuEv3VJnhv9AYW
        2LSwamSFZG6rGaCkX7y4vyIdPDo+4nErftJEVwNLSs+bT0+Fk242dBlo611iyVI+
        ScA5siPVo1MwUTAdBgNVHQ4EFgQUWHMayuDp2uz9GuKCswJKvvb40lgwHwYDVR0j
        BBgwFoAUWHMayuDp2uz9GuKCswJKvvb40lgwDwYDVR0TAQH/BAUwAwEB/zAKBggq
        hkjOPQQDAgNHADBEAiBGqRnBjZ8rfKLv/AJXndmru9Yu9JniitpoJheS8qc5NgIg
        Rap00CD9Mk5FziXgWYbnYyLBzNRO+ZqFXB15OIKAitw=
        -----END CERTIFICATE-----
        """

    /// The same with an end beyond 2049, which is a GeneralizedTime.
    private static let long = """
        -----BEGIN CERTIFICATE-----
        MIIBbjCCARWgAwIBAgIURFXhLucB+kU4V2yN+JOuO/ampbAwCgYIKoZIzj0EAwIw
        DDEKMAgGA1UEAwwBeDAgFw0yNjExMjIxODM4MjRaGA8yMDgxMDgyNTE4MzgyNFow
        DDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMGyBuew6MHk
        gcgmq/fzf58QjONLRFQFSXkkR65LYDj+9nOmMKaZkYAMgTqLyCIfMlamyREKkFUV
        UmBcc4cXFryjUzBRMB0GA1UdDgQWBBS4uVyhz8z4A+9sfxNF3yWB2+mzYTAfBgNV
        HSMEGDAWgBS4uVyhz8z4A+9sfxNF3yWB2+mzYTAPBgNVHRMBAf8EBTADAQH/MAoG
        CCqGSM49BAMCA0cAMEQCIAwXflo9oQTVcvXwiUUoNNqwnwOsDRrKgxl0dQRX41iO
        AiAl3heWfTrzzYv0hrNL3eyzGvXXv1nDMghiPfdmJINQbQ==
        -----END CERTIFICATE-----
        """

    private static let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    private static let shortEnd: Int64 = 1795631904
    private static let longEnd: Int64 = 3523372704

    @Test("The ends of real certificates, alone and together")
    func ends() {
        #expect(Certificate.ends(in: Self.short) == [Self.shortEnd])
        #expect(Certificate.ends(in: Self.long) == [Self.longEnd])
        let both = "text before\n\(Self.long)\n\(Self.key)\(Self.short)\n"
        #expect(Certificate.labels(in: both) == ["CERTIFICATE", "PRIVATE KEY", "CERTIFICATE"])
        #expect(Certificate.ends(in: both) == [Self.longEnd, Self.shortEnd])
    }

    @Test("Good, ending, over: of a client's certificates the first counts, of authorities the last to end")
    func judging() {
        let both = Self.short + "\n" + Self.long
        func result(_ role: TLSChecks.Role, _ now: Int64) -> CheckResult? {
            TLSChecks.judgeContent(role, "s", both, now: now)?.result
        }
        let end = Self.shortEnd
        #expect(result(.certificate, end - 15 * 86_400) == nil)
        #expect(result(.certificate, end - 13 * 86_400) == .warn)
        #expect(result(.certificate, end - 1) == .warn)
        #expect(result(.certificate, end) == .fail)
        #expect(result(.authority, end) == nil)
        #expect(result(.authority, Self.longEnd) == .fail)
        #expect(TLSChecks.judgeContent(.key, "s", Self.key, now: 0) == nil)
    }

    @Test("What is none", arguments: ["", "-----BEGIN CERTIFICATE-----\n", "-----BEGIN X-----\nAAAA\n-----END X-----"])
    func nonsense(_ text: String) {
        #expect(Certificate.ends(in: text).isEmpty)
        #expect(TLSChecks.judgeContent(.certificate, "s", text, now: 0)?.id == "tls.content")
        #expect(TLSChecks.judgeContent(.key, "s", text, now: 0)?.id == "tls.content")
    }

    @Test("Every cut of a real certificate is survived, and every damaged byte")
    func cuts() {
        let lines = Self.short.split(separator: "\n").dropFirst().dropLast()
        let der = Certificate.base64(Array(lines.joined().utf8))
        #expect(Certificate.notAfter(der: der) == Self.shortEnd)
        for length in 0..<der.count { #expect(Certificate.notAfter(der: Array(der[..<length])) == nil) }
        for index in der.indices {
            var damaged = der
            damaged[index] ^= 0xFF
            // No more is asked than that it comes back.
            _ = Certificate.notAfter(der: damaged)
        }
    }
}
