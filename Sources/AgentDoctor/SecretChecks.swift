internal import AgentAPI
internal import AgentConfiguration
internal import ConfigDecode
internal import ConfigSnapshot
internal import Glibc

/// The secrets that the configuration names: are they there, for the agent to read and for nobody else?
enum SecretChecks {
    static func run(_ scene: Scene) -> [Check] {
        scene.references.compactMap { reference in
            guard case .file(let path) = reference.place else { return nil }
            return file(path, "source \(reference.source): \(path)", scene.service)
        }
    }

    private static func file(_ path: String, _ subject: String, _ service: Identity?) -> Check? {
        // One that is missing is an error of the configuration, and told there.
        guard let facts = try? FileFacts.look(at: path) else { return nil }
        if facts.mode & 0o007 != 0, Access.isPublic(path) {
            return Check(
                "secret.private",
                subject,
                .fail,
                "everyone may use this secret (mode \(SystemText.octal(facts.mode)))",
                advice: "chown root:agent \(path) && chmod 0640 \(path); then replace the secret"
            )
        }
        guard let service, let obstacle = Access.realObstacle(Access.Bits.read, at: path, for: service) else {
            return nil
        }
        switch obstacle {
        case .closed:
            let advice = "chgrp agent \(path) && chmod 0640 \(path)"
            let found = "the agent's user \(service.name) may not read it"
            return Check("secret.readable", subject, .fail, found, advice: advice)
        case .closedDirectory(let directory):
            let advice = "chgrp agent \(directory) && chmod g+x \(directory)"
            let found = "the agent's user \(service.name) may not enter \(directory)"
            return Check("secret.readable", subject, .fail, found, advice: advice)
        case .missing, .hidden, .failed: return nil
        }
    }
}

/// A secret that the configuration names and does not hold.
struct SecretReference: Equatable {
    enum Place: Equatable {
        case file(String)
        /// By its name; systemd hands it to the service.
        case credential(String)
    }

    /// The name of the source that needs it.
    var source: String
    var place: Place

    static func find(in path: String) -> [SecretReference] {
        guard let bytes = try? SmallFile.read(path, limit: Redaction.maxFile) else { return [] }
        return find(in: bytes)
    }

    static func find(in yaml: [UInt8]) -> [SecretReference] {
        guard let root = try? DocumentNode.parse(yaml: yaml) else { return [] }
        let sources = (root.member("sources")?.members ?? [])
        return sources.flatMap { source in
            let places = ["headers", "tls", "auth", "proxy"]
            return places.flatMap { source.node.member($0)?.members ?? [] }.compactMap { member -> SecretReference? in
                if let name = member.node.member("credential")?.text {
                    return SecretReference(source: source.name, place: .credential(name))
                }
                return member.node.member("file")?.text.map { SecretReference(source: source.name, place: .file($0)) }
            }
        }
    }

    /// Where systemd keeps the credentials of a running service.
    static var credentialDirectory: String { Credentials.forChecking.directory ?? "/run/credentials/agent.service" }

    /// Whether it is a credential that may not be read from here: its service may not run, or we may not look.
    var isOutOfReach: Bool {
        guard case .credential(let name) = place else { return false }
        return access("\(Self.credentialDirectory)/\(name)", R_OK) != 0
    }
}

/// Where a file of the agent's configuration holds what is not for everyone.
enum SecretPlaces {
    struct Place: Equatable {
        var line: Int
        /// For people; never the value.
        var what: String
        /// Whether its name says that it opens doors.
        var isCredential: Bool
    }

    static func find(in path: String) -> [Place] {
        guard let bytes = try? SmallFile.read(path, limit: Redaction.maxFile) else { return [] }
        return find(in: bytes)
    }

    static func find(in yaml: [UInt8]) -> [Place] {
        guard let root = try? DocumentNode.parse(yaml: yaml) else { return [] }
        var places: [Place] = []
        for source in root.member("sources")?.members ?? [] {
            if let url = source.node.member("url"), Redaction.hasSecretInURL(url.text ?? "") {
                places.append(Place(line: url.position.line, what: "URL with a secret", isCredential: true))
            }
            // What is no text is a reference, or no header.
            for header in source.node.member("headers")?.members ?? [] where header.node.text?.isEmpty == false {
                places.append(
                    Place(
                        line: header.node.position.line,
                        what: "value of the header '\(header.name)'",
                        isCredential: Redaction.looksSecret(header.name)
                    )
                )
            }
            for section in ["auth", "proxy"] {
                for member in source.node.member(section)?.members ?? []
                where member.node.text?.isEmpty == false && Redaction.looksSecret(member.name) {
                    places.append(
                        Place(line: member.node.position.line, what: "'\(section).\(member.name)'", isCredential: true)
                    )
                }
            }
        }
        return places.sorted { $0.line < $1.line }
    }
}

extension DocumentNode {
    var members: [Member] { if case .mapping(let members) = kind { members } else { [] } }

    func member(_ name: String) -> DocumentNode? { members.first { $0.name == name }?.node }

    var text: String? {
        guard case .scalar(.string(let text)) = kind else { return nil }
        return String(decoding: text, as: UTF8.self)
    }
}
