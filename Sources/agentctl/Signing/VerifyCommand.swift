internal import AgentAPI
internal import AgentConfiguration
internal import AgentctlKit
internal import ArgumentParser
internal import ConfigSnapshot
internal import ConfigTrust

struct VerifyCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check a document's signature as an agent would.",
        discussion: """
            Says what is wrong, if anything is, and exits with 1 then. What an agent knows besides, the versions that it \
            has accepted, is not asked.
            """
    )

    @OptionGroup var options: GlobalOptions

    @Argument(help: "The document.")
    var document: String

    @Option(
        help: ArgumentHelp("Its signature (default: DOCUMENT.sig, unless the document carries it).", valueName: "file")
    )
    var signature: String?

    @Option(help: ArgumentHelp("The source that it is to be for.", valueName: "name"))
    var source: String

    @Option(help: ArgumentHelp("A public key that is believed; may be given several times.", valueName: "file"))
    var key: [String] = []

    @Option(help: ArgumentHelp("A trust file that says which keys are believed.", valueName: "file"))
    var trust: String?

    @Option(help: ArgumentHelp("The digest that the trust file is known by.", valueName: "digest"))
    var root: String?

    @Option(help: ArgumentHelp("How many keys have to have signed.", valueName: "number"))
    var threshold = 1

    @Option(help: ArgumentHelp("A name that the host goes by (default: this host's name).", valueName: "name"))
    var audience: [String] = []

    func validate() throws {
        if !key.isEmpty, trust != nil { throw ValidationError("--key and --trust exclude one another") }
        if key.isEmpty, trust == nil { throw ValidationError("give keys, --key FILE, or --trust FILE") }
        guard (trust == nil) == (root == nil) else { throw ValidationError("--trust and --root go together") }
        guard threshold >= 1 else { throw ValidationError("--threshold is at least 1") }
    }

    func perform() throws -> ExitStatus {
        guard let name = SourceName(source) else {
            throw Problem("'\(source)' cannot be a source's name", exit: .failure)
        }
        let bytes = try LocalFile.read(document)
        let found: (signature: [UInt8]?, body: [UInt8])
        do throws(TrustError) {
            let parts = try SignedDocument.split(bytes)
            found = (parts.signature.map { Array($0) }, Array(parts.document))
        } catch {
            throw KeyFile.problem(document, error)
        }
        let beside = signature ?? "\(document).sig"
        let isBeside = signature != nil || (found.signature == nil && LocalFile.exists(beside))
        let held = isBeside ? try LocalFile.read(beside) : found.signature
        guard let digest = ContentDigest(of: found.body) else { throw Problem("no digest", exit: .failure) }
        let moment = SignaturePolicy.Moment.taking(at: WallClock.nowNanoseconds / 1_000_000_000)
        do throws(StageFailure) {
            return tell(try policy().check(held, of: name, digest: digest, moment))
        } catch {
            throw Problem(error.message, remedy: error.hint, exit: .failure)
        }
    }

    private func policy() throws(StageFailure) -> SignaturePolicy {
        let names = audience.isEmpty ? SourceConfiguration.Verification.usualAudience : Set(audience)
        do {
            guard let trust, let root else {
                return SignaturePolicy(
                    ring: KeyRing(keys: try KeyFile.publicKeys(key)),
                    threshold: threshold,
                    audience: names
                )
            }
            guard let digest = ContentDigest(text: root) else {
                throw Problem("'\(root)' is no digest: sha256: and 64 digits", exit: .failure)
            }
            let found = try TrustFile(parsing: try LocalFile.read(trust)).verified(from: digest)
            return SignaturePolicy(
                ring: found.ring,
                threshold: found.threshold,
                audience: names,
                trust: found.version
            )
        } catch let problem as Problem {
            throw StageFailure(.verify, "trust", problem.message, hint: problem.remedy)
        } catch {
            throw StageFailure(.verify, "trust", "\(trust ?? ""): \(error)")
        }
    }

    private func tell(_ accepted: SignaturePolicy.Accepted) -> ExitStatus {
        let envelope = accepted.envelope
        do {
            switch options.output {
            case .json: try Terminal.print(json: WireJSON.encode(Answer(accepted)))
            case .text:
                let audience = envelope.audience.isEmpty ? "everybody" : envelope.audience.joined(separator: ", ")
                let left = Durations.compact(Double(envelope.expires - WallClock.nowNanoseconds / 1_000_000_000))
                try Terminal.print(
                    """
                    good: version \(envelope.version) for source \(envelope.source), for \(audience), expires in \(left)
                    signed by \(accepted.signers.map(\.text).joined(separator: ", "))

                    """
                )
            }
            return .success
        } catch {
            return .unknown
        }
    }

    private struct Answer: Encodable {
        let source: String
        let version: UInt64
        let issued: Int64
        let expires: Int64
        let audience: [String]
        let keys: [String]
        let digest: String

        init(_ accepted: SignaturePolicy.Accepted) {
            let envelope = accepted.envelope
            source = envelope.source.text
            version = envelope.version
            issued = envelope.issued
            expires = envelope.expires
            audience = envelope.audience
            keys = accepted.signers.map(\.text)
            digest = envelope.digest.hex
        }
    }
}
