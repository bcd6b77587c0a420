import BenchKit
import Foundation

/// Whoever signs: agentctl with a key that the agent believes, or with one that it does not.
struct Signer: Sendable {
    let agentctl: String
    let directory: URL

    /// Makes both keys, and puts the one that is believed where the agent looks.
    init(agentctl: String, directory: URL) throws {
        self.agentctl = agentctl
        self.directory = directory
        let keys = directory.appending(path: "keys")
        try FileManager.default.createDirectory(at: keys, withIntermediateDirectories: true)
        for name in ["release", "other"] {
            let made = try Tools.outcome(agentctl, ["keygen", directory.appending(path: name).path], seconds: 10)
            guard made.status == 0 else { throw Tools.Failure(description: "keygen: \(made.output)") }
        }
        try FileManager.default.copyItem(
            at: directory.appending(path: "release.pub"),
            to: keys.appending(path: "release.pub")
        )
    }

    var keys: String { directory.appending(path: "keys").path }

    func signature(of body: [UInt8], version: Int, key: String = "release") throws -> [UInt8] {
        let file = directory.appending(path: "\(key)-to-sign.json")
        try Data(body).write(to: file)
        let words = [
            "sign", file.path, "--source", "signed", "--key", directory.appending(path: "\(key).key").path,
            "--document-version", "\(version)",
        ]
        let made = try Tools.outcome(agentctl, words, seconds: 20)
        guard made.status == 0 else { throw Tools.Failure(description: "sign: \(made.output)") }
        return [UInt8](try Data(contentsOf: URL(filePath: file.path + ".sig")))
    }
}
