internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser
internal import ConfigSnapshot
internal import ConfigTrust
internal import Glibc

struct SignCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "sign",
        abstract: "Sign a document for a source.",
        discussion: """
            Writes DOCUMENT.sig, to be published beside the document: the document first, its signature after it. With \
            --carried it writes DOCUMENT.signed, which is both in one, for stores that know only values. With --add it \
            adds a signature to those that are there. To sign with another tool, write what is to be signed with \
            --envelope-only, sign the file DOCUMENT.envelope (openssl pkeyutl -sign -rawin, or signify -S), and give the \
            result to --attach, with the public key in --signer.
            """
    )

    @OptionGroup var options: GlobalOptions

    @Argument(help: "The document.")
    var document: String

    @Option(help: ArgumentHelp("The source that it is for.", valueName: "name"))
    var source: String?

    @Option(help: ArgumentHelp("A private key to sign with; may be given several times.", valueName: "file"))
    var key: [String] = []

    @Option(help: ArgumentHelp("The public key of somebody else who is to sign, too.", valueName: "file"))
    var signer: [String] = []

    @Option(
        help: ArgumentHelp(
            "A host that it is for, by a name it goes by; for all when none is given.",
            valueName: "name"
        )
    )
    var audience: [String] = []

    @Option(
        help: ArgumentHelp(
            "Its version: more than that of the one before (default: the time, in milliseconds since 1970).",
            valueName: "number"
        )
    )
    var documentVersion: UInt64?

    @Option(help: ArgumentHelp("How long it may be taken: 12h, 30d.", valueName: "time"))
    var valid = Validity(seconds: 30 * 86_400)

    @Flag(help: "Write document and signature as one file.")
    var carried = false

    @Flag(help: "Add signatures to DOCUMENT.sig.")
    var add = false

    @Flag(help: "Write DOCUMENT.envelope, to be signed with another tool.")
    var envelopeOnly = false

    @Option(help: ArgumentHelp("What another tool has made of DOCUMENT.envelope.", valueName: "file"))
    var attach: String?

    private var envelopePath: String { "\(document).envelope" }
    private var signaturePath: String { "\(document).sig" }

    func validate() throws {
        guard [add, envelopeOnly, attach != nil].count(where: \.self) <= 1 else {
            throw ValidationError("--add, --envelope-only and --attach exclude one another")
        }
        if attach != nil, signer.count != 1 {
            throw ValidationError("--attach needs the public key that goes with it: --signer FILE")
        }
        if !add, attach == nil, source == nil { throw ValidationError("say which source it is for: --source NAME") }
        if key.isEmpty, !envelopeOnly, attach == nil { throw ValidationError("give a key to sign with: --key FILE") }
        if envelopeOnly, key.isEmpty, signer.isEmpty {
            throw ValidationError("say whose key is to sign: --signer FILE")
        }
    }

    func perform() throws -> ExitStatus {
        let bytes = try LocalFile.read(document)
        let keys = try KeyFile.privateKeys(key)
        if envelopeOnly {
            let envelope = try newEnvelope(bytes, keys)
            try LocalFile.replace(envelopePath, with: Array(envelope.text.utf8))
            return try tell(envelope, envelopePath, signatures: 0)
        }
        var file = try start(bytes, keys)
        for key in keys { try add(key.publicKey.id, try sign(file.envelope, key), to: &file) }
        if let attach {
            let signer = try KeyFile.publicKey(signer[0])
            let signature = try foreign(attach)
            guard signer.verifies(signature, under: file.envelope) else {
                throw Problem("\(attach) is not this key's signature of \(envelopePath)", exit: .failure)
            }
            try add(signer.id, signature, to: &file)
        }
        let envelope = try parse(file.envelope, signaturePath)
        let text = Array(file.text.utf8)
        let path = carried ? "\(document).signed" : signaturePath
        try LocalFile.replace(path, with: carried ? SignedDocument.join(signature: text, bytes) : text)
        return try tell(envelope, path, signatures: file.signatures.count)
    }

    /// What the signatures are added to.
    private func start(_ bytes: [UInt8], _ keys: [PrivateKey]) throws -> SignatureFile {
        if add { return try existing(bytes) }
        guard attach != nil else {
            return SignatureFile(envelope: Array(try newEnvelope(bytes, keys).text.utf8), signatures: [])
        }
        // What another tool was given to sign. Once it is gone, what is in the signature's file is the same.
        if !LocalFile.exists(envelopePath), LocalFile.exists(signaturePath) { return try existing(bytes) }
        let envelope = try LocalFile.read(envelopePath)
        guard try parse(envelope, envelopePath).digest == ContentDigest(of: bytes) else {
            throw Problem("\(envelopePath) is the envelope of another document", exit: .failure)
        }
        // A signature's file of an earlier version is replaced, whatever is in it; one of this version is added to.
        if LocalFile.exists(signaturePath), let file = try? SignatureFile(parsing: try LocalFile.read(signaturePath)),
            file.envelope == envelope
        {
            return file
        }
        return SignatureFile(envelope: envelope, signatures: [])
    }

    /// The signatures that the document has.
    private func existing(_ document: [UInt8]) throws(Problem) -> SignatureFile {
        let bytes = try LocalFile.read(signaturePath)
        let file: SignatureFile
        do throws(TrustError) { file = try SignatureFile(parsing: bytes) } catch {
            throw KeyFile.problem(signaturePath, error)
        }
        guard try parse(file.envelope, signaturePath).digest == ContentDigest(of: document) else {
            throw Problem("\(signaturePath) is the signature of another document", exit: .failure)
        }
        return file
    }

    private func parse(_ envelope: [UInt8], _ path: String) throws(Problem) -> Envelope {
        do throws(TrustError) { return try Envelope(parsing: envelope) } catch { throw KeyFile.problem(path, error) }
    }

    private func newEnvelope(_ bytes: [UInt8], _ keys: [PrivateKey]) throws(Problem) -> Envelope {
        guard let source = source.flatMap({ SourceName($0) }) else {
            throw Problem("'\(source ?? "")' cannot be a source's name", exit: .failure)
        }
        guard let digest = ContentDigest(of: bytes) else { throw Problem("no digest", exit: .failure) }
        let now = WallClock.nowNanoseconds
        let envelope = Envelope(
            source: source,
            audience: audience,
            version: documentVersion ?? UInt64(now / 1_000_000),
            issued: now / 1_000_000_000,
            expires: now / 1_000_000_000 + valid.seconds,
            keys: keys.map(\.publicKey.id) + (try KeyFile.publicKeys(signer)).map(\.id),
            digest: digest
        )
        // What cannot be read again would be refused everywhere.
        _ = try parse(Array(envelope.text.utf8), "what is to be signed")
        return envelope
    }

    private func sign(_ envelope: [UInt8], _ key: PrivateKey) throws(Problem) -> [UInt8] {
        do throws(TrustError) { return try key.sign(envelope) } catch { throw Problem(error.message, exit: .failure) }
    }

    private func foreign(_ path: String) throws(Problem) -> [UInt8] {
        let bytes = try LocalFile.read(path)
        do throws(TrustError) { return try SignatureFile.foreign(bytes) } catch { throw KeyFile.problem(path, error) }
    }

    private func add(_ id: KeyID, _ signature: [UInt8], to file: inout SignatureFile) throws(Problem) {
        guard try parse(file.envelope, signaturePath).keys.contains(id) else {
            throw Problem(
                "the envelope does not name key \(id), so its signature would not count",
                remedy: "sign anew, and name all who are to sign with --key and --signer",
                exit: .failure
            )
        }
        file.signatures.removeAll { $0.key == id }
        file.signatures.append(SignatureFile.Signature(key: id, bytes: signature))
    }

    private func tell(_ envelope: Envelope, _ path: String, signatures: Int) throws -> ExitStatus {
        switch options.output {
        case .json:
            let answer = Answer(
                file: path,
                source: envelope.source.text,
                version: envelope.version,
                expires: envelope.expires,
                signatures: signatures
            )
            try Terminal.print(json: WireJSON.encode(answer))
        case .text:
            let days = Durations.compact(Double(envelope.expires - envelope.issued))
            try Terminal.print(
                "\(path): version \(envelope.version) for source \(envelope.source), valid \(days), \(signatures) signature"
                    + (signatures == 1 ? "\n" : "s\n")
            )
        }
        return .success
    }

    private struct Answer: Encodable {
        let file: String
        let source: String
        let version: UInt64
        let expires: Int64
        let signatures: Int
    }
}

/// How long a signature is good for.
struct Validity: ExpressibleByArgument {
    let seconds: Int64

    init(seconds: Int64) { self.seconds = seconds }

    init?(argument: String) {
        guard let seconds = Durations.parseSeconds(argument) else { return nil }
        self.seconds = seconds
    }

    var defaultValueDescription: String { "30d" }
}
