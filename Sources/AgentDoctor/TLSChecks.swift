internal import AgentAPI
internal import AgentConfiguration
internal import ConfigSnapshot

/// The certificate files of the sources, and the files that are sources themselves: are they there, can the agent's
/// user read them, and nobody else what is not for others?
enum TLSChecks {
    enum Role {
        case authority, certificate, key

        var name: String {
            switch self {
            case .authority: "tls.ca"
            case .certificate: "tls.cert"
            case .key: "tls.key"
            }
        }
    }

    static func run(_ scene: Scene) -> [Check] {
        (scene.configuration?.sources ?? []).flatMap { source in
            var checks: [Check] = []
            let files: [(Role, String?)] = [
                (.authority, source.tls.ca?.path), (.certificate, source.tls.certificate?.path),
                (.key, source.tls.key?.path),
            ]
            for case (let role, let path?) in files { checks += file(role, path, of: source.name, scene) }
            return checks
        }
    }

    private static func file(_ role: Role, _ path: String, of source: SourceName, _ scene: Scene) -> [Check] {
        let subject = "source \(source): \(path)"
        if path.hasPrefix(SecretReference.credentialDirectory + "/") { return [credential(role, subject, path)] }
        if let check = exists(role, path, subject, scene.service) { return [check] }
        guard let facts = try? FileFacts.look(at: path) else {
            return [Check("tls.readable", subject, .skip, "no permission to look at it", advice: Doctor.asRoot)]
        }
        var checks: [Check] = []
        if role == .key, Access.isPublic(path), let check = judgeKeyMode(path, subject, facts) { checks.append(check) }
        if let text = SmallFile.text(path, limit: 8 << 20) {
            if let check = judgeContent(role, subject, text, now: nowSeconds) { checks.append(check) }
        } else if Doctor.isRoot {
            let advice = "put a PEM file of less than 8 MiB there"
            checks.append(Check("tls.content", subject, .fail, "it cannot be read as a file", advice: advice))
        } else {
            checks.append(Check("tls.content", subject, .skip, "no permission to read it", advice: Doctor.asRoot))
        }
        return checks.isEmpty ? [Check("tls.usable", subject, .ok, "\(role.name) is there and good")] : checks
    }

    /// systemd sees to who may read it, by more than its mode; it is there only while the service runs.
    private static func credential(_ role: Role, _ subject: String, _ path: String) -> Check {
        guard let text = SmallFile.text(path, limit: 8 << 20) else {
            let found = "this credential of the service cannot be read from here"
            let advice = Doctor.isRoot ? "start the agent, and look again: systemctl start agent" : Doctor.asRoot
            return Check("tls.content", subject, .skip, found, advice: advice)
        }
        return judgeContent(role, subject, text, now: nowSeconds)
            ?? Check("tls.usable", subject, .ok, "\(role.name) is there and good")
    }

    /// There, and for the agent's user to read.
    private static func exists(_ role: Role, _ path: String, _ subject: String, _ service: Identity?) -> Check? {
        // Whoever may do anything: then only what is missing is found.
        let reader = service ?? Identity(user: 0, groups: [], name: "root")
        switch Access.realObstacle(Access.Bits.read, at: path, for: reader) {
        case nil: return nil
        case .missing(let missing):
            let what = missing == path ? "there is no such file" : "there is no \(missing)"
            let advice = "put the PEM file there, or correct '\(role.name)' in the agent's configuration"
            return Check("tls.exists", subject, .fail, what, advice: advice)
        case .closed:
            let mode = role == .key ? "0640" : "0644"
            return Check(
                "tls.readable",
                subject,
                .fail,
                "the agent's user \(reader.name) may not read it",
                advice: "chgrp agent \(path) && chmod \(mode) \(path)"
            )
        case .closedDirectory(let directory):
            return Check(
                "tls.readable",
                subject,
                .fail,
                "the agent's user \(reader.name) may not enter \(directory)",
                advice: "chgrp agent \(directory) && chmod g+x \(directory)"
            )
        case .hidden(let hidden):
            let found = "no permission to look at \(hidden)"
            return Check("tls.readable", subject, .skip, found, advice: Doctor.asRoot)
        case .failed(let failed, let code):
            let found = "cannot look at \(failed): \(SystemText.error(code))"
            return Check("tls.exists", subject, .fail, found, advice: "see what dmesg says of this disk")
        }
    }

    static func judgeKeyMode(_ path: String, _ subject: String, _ facts: FileFacts) -> Check? {
        guard facts.mode & 0o007 != 0 else { return nil }
        return Check(
            "tls.key_private",
            subject,
            .fail,
            "everyone may use this private key (mode \(SystemText.octal(facts.mode)))",
            advice: "chown root:agent \(path) && chmod 0640 \(path); then replace the key and its certificate"
        )
    }

    static func judgeContent(_ role: Role, _ subject: String, _ text: String, now: Int64) -> Check? {
        let labels = Certificate.labels(in: text)
        switch role {
        case .key:
            if labels.contains(where: { $0.hasSuffix("PRIVATE KEY") }) { return nil }
            let advice = "put a key in PEM form there: it begins with -----BEGIN PRIVATE KEY-----"
            return Check("tls.content", subject, .fail, "it holds no private key in PEM form", advice: advice)
        case .certificate, .authority:
            guard labels.contains(where: { $0.hasSuffix("CERTIFICATE") }) else {
                let advice = "put a certificate in PEM form there: it begins with -----BEGIN CERTIFICATE-----"
                return Check("tls.content", subject, .fail, "it holds no certificate in PEM form", advice: advice)
            }
            let ends = Certificate.ends(in: text)
            // The first is our own; of a list of authorities one that is good may do.
            return (role == .certificate ? ends.first : ends.max()).flatMap { judgeEnd(role, subject, $0, now: now) }
        }
    }

    private static func judgeEnd(_ role: Role, _ subject: String, _ end: Int64, now: Int64) -> Check? {
        let day = String(WireTime(unixMilliseconds: end * 1000).description.prefix(10))
        let advice = "renew the certificate and put the new one in its place, then: systemctl restart agent"
        if end <= now { return Check("tls.expiry", subject, .fail, "it expired on \(day)", advice: advice) }
        let days = (end - now) / 86_400
        guard days < 14 else { return nil }
        let left = days == 0 ? "in less than a day" : "in \(SystemText.plural(Int(days), "day"))"
        return Check("tls.expiry", subject, .warn, "it expires \(left), on \(day)", advice: advice)
    }

    private static var nowSeconds: Int64 { WallClock.nowNanoseconds / 1_000_000_000 }
}
