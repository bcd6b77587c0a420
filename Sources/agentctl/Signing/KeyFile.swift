internal import AgentctlKit
internal import ConfigTrust

/// Keys in files that the operator names.
enum KeyFile {
    static func publicKey(_ path: String) throws(Problem) -> PublicKey {
        let text = try LocalFile.text(path)
        do throws(TrustError) { return try PublicKey(file: text) } catch { throw problem(path, error) }
    }

    static func privateKey(_ path: String) throws(Problem) -> PrivateKey {
        let text = try LocalFile.text(path)
        do throws(TrustError) { return try PrivateKey(file: text) } catch { throw problem(path, error) }
    }

    static func publicKeys(_ paths: [String]) throws(Problem) -> [PublicKey] {
        var keys: [PublicKey] = []
        for path in paths { keys.append(try publicKey(path)) }
        return keys
    }

    static func privateKeys(_ paths: [String]) throws(Problem) -> [PrivateKey] {
        var keys: [PrivateKey] = []
        for path in paths { keys.append(try privateKey(path)) }
        return keys
    }

    static func problem(_ path: String, _ error: TrustError) -> Problem {
        Problem("\(path): \(error.message)", exit: .failure)
    }
}
