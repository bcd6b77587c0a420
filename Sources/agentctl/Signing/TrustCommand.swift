internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser
internal import ConfigSnapshot
internal import ConfigTrust

struct TrustCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "trust",
        abstract: "Write a trust file, or its next version.",
        discussion: """
            A trust file says which keys are believed. Each version of it is signed by the roots of the one before, so \
            that hosts that know the first one believe the last. What is not given stays as it was in the version before. \
            Tells the digest that the file is known by, for 'verify: {trust: {file: …, root: …}}'. While too few of the roots \
            have signed, it is written all the same, so that they can sign one after the other, but exits with 1; with \
            --output json "complete" says which it is.
            """
    )

    @OptionGroup var options: GlobalOptions

    @Argument(help: "The trust file.")
    var file: String

    @Option(
        help: ArgumentHelp("The public key of a root, which signs the next version; all of them.", valueName: "file")
    )
    var root: [String] = []

    @Option(help: ArgumentHelp("How many roots have to sign.", valueName: "number"))
    var rootThreshold: Int?

    @Option(help: ArgumentHelp("A public key that signs documents; all of them.", valueName: "file"))
    var key: [String] = []

    @Option(help: ArgumentHelp("How many keys have to sign a document.", valueName: "number"))
    var threshold: Int?

    @Option(help: ArgumentHelp("The id of a key to be believed no more, besides those of before.", valueName: "id"))
    var revoke: [String] = []

    @Option(help: ArgumentHelp("A root's private key to sign with; may be given several times.", valueName: "file"))
    var signWith: [String]

    @Flag(help: "Change nothing, and add signatures to the last version.")
    var signOnly = false

    func perform() throws -> ExitStatus {
        var sections = LocalFile.exists(file) ? try existing().sections : []
        let keys = try KeyFile.privateKeys(signWith)
        if !signOnly { sections.append(try next(after: sections.last)) }
        guard var last = sections.popLast() else {
            throw Problem("there is no \(file) yet", remedy: "make one, without --sign-only", exit: .failure)
        }
        try checkRoots(keys, of: last, after: sections.last)
        for key in keys {
            last.signatures.removeAll { $0.key == key.publicKey.id }
            let signature: [UInt8]
            do throws(TrustError) { signature = try key.sign(Array(last.text.utf8)) } catch {
                throw Problem(error.message, exit: .failure)
            }
            last.signatures.append(SignatureFile.Signature(key: key.publicKey.id, bytes: signature))
        }
        let trust = TrustFile(sections + [last])
        guard let root = trust.root else { throw Problem("no digest", exit: .failure) }
        try LocalFile.replace(file, with: Array(trust.text.utf8))
        var isWhole = true
        do throws(TrustError) { _ = try trust.verified(from: root) } catch {
            isWhole = false
            Terminal.note(
                "agentctl: \(file) is written, but not complete and not to be given to hosts yet: \(error.message); "
                    + "add signatures with --sign-only"
            )
        }
        switch options.output {
        case .json:
            let answer = Answer(file: file, version: last.version, root: root.description, complete: isWhole)
            try Terminal.print(json: WireJSON.encode(answer))
        case .text: try Terminal.print("\(file): version \(last.version), known as \(root)\n")
        }
        return isWhole ? .success : .failure
    }

    /// The signature of any other key would never count, and the file would not be worth what it was before.
    private func checkRoots(
        _ keys: [PrivateKey],
        of section: TrustFile.Section,
        after last: TrustFile.Section?
    ) throws(Problem) {
        let roots = section.roots + (last?.roots ?? [])
        for (key, path) in zip(keys, signWith) where !roots.contains(key.publicKey) {
            throw Problem(
                "\(path): key \(key.publicKey.id) is no root of \(file), so its signature would not count",
                remedy: "sign with the key of a root; --root names them",
                exit: .failure
            )
        }
    }

    private func existing() throws(Problem) -> TrustFile {
        let bytes = try LocalFile.read(file)
        do throws(TrustError) { return try TrustFile(parsing: bytes) } catch { throw KeyFile.problem(file, error) }
    }

    private func next(after last: TrustFile.Section?) throws -> TrustFile.Section {
        let revocations = revoke.map { KeyID($0) }
        guard !revocations.contains(nil) else {
            throw Problem("a key's id is 32 hexadecimal digits", remedy: "agentctl keygen tells it", exit: .failure)
        }
        let roots = root.isEmpty ? last?.roots ?? [] : try KeyFile.publicKeys(root)
        let keys = key.isEmpty ? last?.keys ?? [] : try KeyFile.publicKeys(key)
        let section = TrustFile.Section(
            version: (last?.version ?? 0) + 1,
            roots: roots,
            rootThreshold: rootThreshold ?? last?.rootThreshold ?? 1,
            keys: keys,
            threshold: threshold ?? last?.threshold ?? 1,
            revoked: (last?.revoked ?? []) + revocations.compactMap(\.self)
        )
        // What cannot be read again would be refused everywhere.
        do throws(TrustError) { _ = try TrustFile(parsing: Array(section.text.utf8)) } catch {
            throw KeyFile.problem(file, error)
        }
        return section
    }

    private struct Answer: Encodable {
        let file: String
        let version: UInt64
        let root: String
        let complete: Bool
    }
}
