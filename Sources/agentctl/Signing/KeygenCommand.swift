internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser
internal import ConfigTrust

struct KeygenCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "keygen",
        abstract: "Make a key to sign documents with.",
        discussion: """
            Writes NAME.key, which signs and stays with whoever signs, and NAME.pub, which goes to the hosts, into the \
            directory of keys that 'verify' names. Keys that openssl or signify have made do as well. No file is replaced.
            """
    )

    @OptionGroup var options: GlobalOptions

    @Argument(help: "Where to write them, without '.key' and '.pub'.")
    var name: String

    func validate() throws {
        guard let last = name.utf8.last, last != UInt8(ascii: "/") else {
            throw ValidationError("give the files a name: NAME.key and NAME.pub")
        }
    }

    func perform() throws -> ExitStatus {
        let key = PrivateKey()
        try LocalFile.create("\(name).key", mode: 0o600, Array(key.pem.utf8))
        try LocalFile.create("\(name).pub", mode: 0o644, Array(key.publicKey.pem.utf8))
        let id = key.publicKey.id.text
        switch options.output {
        case .json:
            let answer = Answer(id: id, publicKey: "\(name).pub", privateKey: "\(name).key")
            try Terminal.print(json: WireJSON.encode(answer))
        case .text: try Terminal.print("key \(id): keep \(name).key to yourself, give \(name).pub to the hosts\n")
        }
        return .success
    }

    private struct Answer: Encodable {
        let id: String
        let publicKey: String
        let privateKey: String

        enum CodingKeys: String, CodingKey {
            case id
            case publicKey = "public_key"
            case privateKey = "private_key"
        }
    }
}
