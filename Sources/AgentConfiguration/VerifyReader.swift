internal import ConfigSnapshot
internal import ConfigTrust
internal import Glibc

/// What the signatures of a source have to be: the section `verify`.
extension SettingsReader {
    /// A public key's file, and a list of those that are revoked.
    private static let largestKeyFile = 64 << 10
    private static let suffix = ".pub"
    private static let revocations = "revoked"

    mutating func verification(
        _ setting: Setting?,
        of kind: SourceKind?,
        at url: String,
        path documentPath: String
    ) -> SourceConfiguration.Verification? {
        guard let setting else { return nil }
        let members = members(setting, known: ["keys", "trust", "threshold", "audience", "signature"])
        let place = signaturePlace(members["signature"], of: kind)
        if let kind, KindSettings.of(kind).isTree(url, path: documentPath) {
            let what = "has no effect with a tree of keys: nothing in it signs all of it"
            note(setting.namePlace, setting.key, what, "put one signed document under one key, and name that key")
        }
        let policy: SignaturePolicy?
        switch (members["keys"], members["trust"]) {
        case (let keys?, nil): policy = keyPolicy(keys, members["threshold"])
        case (nil, let trust?):
            policy = trustPolicy(trust)
            if let threshold = members["threshold"] {
                note(threshold.namePlace, threshold.key, "beside 'trust'", "the trust file says how many have to sign")
            }
        default:
            note(setting.namePlace, setting.key, "needs 'keys' or 'trust'", "give one of the two")
            policy = nil
        }
        let audience = audience(members["audience"])
        guard var policy else { return nil }
        policy.audience = audience
        return SourceConfiguration.Verification(policy: policy, signature: place)
    }

    private mutating func signaturePlace(
        _ setting: Setting?,
        of kind: SourceKind?
    ) -> SourceConfiguration.Verification.Place {
        let mayBeBeside = kind.map { KindSettings.of($0).groups.contains(.beside) } ?? true
        guard let setting, let text = text(setting) else { return mayBeBeside ? .beside : .carried }
        guard let place = SourceConfiguration.Verification.Place(rawValue: text) else {
            note(setting, SettingProblem("\(shown(text)) is no place for a signature", "known are beside and carried"))
            return .carried
        }
        if place == .beside, !mayBeBeside, let kind {
            let what = "nothing lies beside a document of \(kind.rawValue)"
            note(setting, SettingProblem(what, "write 'carried', and let the document carry its signature"))
        }
        return place
    }

    /// The names that this host goes by.
    private mutating func audience(_ setting: Setting?) -> Set<String> {
        guard let setting else { return SourceConfiguration.Verification.usualAudience }
        var names: Set<String> = []
        for item in setting.isList ? items(ofList: setting) : [setting] {
            guard let name = text(item) else { continue }
            if !Envelope.isAudience(name) {
                note(item, SettingProblem("\(shown(name)) cannot be signed for", "write letters and digits, no spaces"))
            }
            names.insert(name)
        }
        return names
    }

    // MARK: A directory of keys

    private mutating func keyPolicy(_ setting: Setting, _ threshold: Setting?) -> SignaturePolicy? {
        guard let directory = path(setting) else { return nil }
        var keys: [PublicKey] = []
        var revoked: Set<KeyID> = []
        do throws(ConfigurationError) {
            for file in try list(directory) {
                let bytes = try rereadable(file) { () throws(ConfigurationError) in
                    try ConfigurationFiles.bytes(of: file, limit: Self.largestKeyFile)
                }
                do throws(TrustError) {
                    try Self.add(file, bytes, &keys, &revoked)
                } catch {
                    let problem = SettingProblem("\(file): \(error.message)", "replace the file, or take it away")
                    guard isRereading else {
                        note(setting, problem)
                        return nil
                    }
                    // What is right in the directory takes effect all the same: it may revoke a key.
                    if let earlier = standIn(for: file, problem) { try? Self.add(file, earlier, &keys, &revoked) }
                }
            }
        } catch {
            note(setting, SettingProblem("\(error.file) \(error.what)", error.advice ?? "let the agent's user read it"))
            return nil
        }
        let ring = KeyRing(keys: keys, revoked: revoked)
        let count = readInteger(threshold, default: 1, in: 1...Envelope.mostKeys)
        // Where all are revoked nothing new is taken, and that is what was meant.
        if keys.isEmpty {
            let what = "there is no key in \(directory)"
            noteLack(setting, SettingProblem(what, "put a public key there, as NAME.pub: agentctl keygen makes one"))
        } else if let threshold, count > keys.count {
            let what = "\(count) keys have to sign, and \(directory) holds \(keys.count)"
            noteLack(threshold, SettingProblem(what, "add keys, or lower the number"))
        }
        return SignaturePolicy(ring: ring, threshold: count)
    }

    /// While the agent runs, keys that were taken away are not believed any more, however few are left.
    private mutating func noteLack(_ setting: Setting, _ problem: SettingProblem) {
        guard isRereading else { return note(setting, problem) }
        refuse(problem.what, problem.advice, .nothingTrusted)
    }

    private static func add(
        _ file: String,
        _ bytes: [UInt8],
        _ keys: inout [PublicKey],
        _ revoked: inout Set<KeyID>
    ) throws(TrustError) {
        let text = String(decoding: bytes, as: UTF8.self)
        if file.hasSuffix(suffix) {
            keys.append(try PublicKey(file: text))
        } else {
            revoked.formUnion(try KeyRing.revocations(in: text))
        }
    }

    /// The files of a directory of keys; those of before where it cannot be read now.
    private mutating func list(_ directory: String) throws(ConfigurationError) -> [String] {
        let listing = try rereadable(directory) { () throws(ConfigurationError) in
            let files = try ConfigurationFiles.list(directory) { $0.hasSuffix(Self.suffix) || $0 == Self.revocations }
            return Array(files.joined(separator: "\n").utf8)
        }
        return String(decoding: listing, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    // MARK: A trust file

    private mutating func trustPolicy(_ setting: Setting) -> SignaturePolicy? {
        let members = members(setting, known: ["file", "root"])
        guard let file = path(members["file"]), let root = members["root"], let text = text(root) else {
            if members["file"] == nil || members["root"] == nil {
                let advice = "as in '{file: /etc/agent/trust, root: \"sha256:…\"}': 'agentctl trust' tells the root"
                note(setting.namePlace, setting.key, "needs 'file' and 'root'", advice)
            }
            return nil
        }
        guard let digest = ContentDigest(text: text) else {
            note(
                root,
                SettingProblem("\(shown(text)) is no digest", "write sha256: and 64 digits, as 'agentctl trust' does")
            )
            return nil
        }
        do throws(ConfigurationError) {
            let bytes = try rereadable(file) { () throws(ConfigurationError) in
                try ConfigurationFiles.bytes(of: file, limit: TrustFile.largest)
            }
            do throws(TrustError) {
                let found = try TrustFile(parsing: bytes).verified(from: digest)
                return SignaturePolicy(ring: found.ring, threshold: found.threshold, trust: found.version)
            } catch {
                note(setting, SettingProblem("\(file): \(error.message)", "put the right file there"))
            }
        } catch {
            note(setting, SettingProblem("\(file) \(error.what)", error.advice ?? "let the agent's user read it"))
        }
        return nil
    }
}

extension SourceConfiguration.Verification {
    /// The names that this host goes by where nothing else is said: its own, if that can be signed for.
    public static var usualAudience: Set<String> {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return [] }
        let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return Envelope.isAudience(name) ? [name] : []
    }
}
