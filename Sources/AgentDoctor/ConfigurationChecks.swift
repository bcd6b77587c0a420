internal import AgentAPI
internal import AgentConfiguration
internal import ConfigDecode
internal import Glibc

/// The agent's own configuration: can it be used, and is it safe where it lies?
enum ConfigurationChecks {
    static func run(_ scene: Scene) -> [Check] {
        let files = ConfigurationFileList.files(at: scene.options.configuration)
        return loads(scene) + places(scene, files) + SecretChecks.run(scene)
    }

    private static func loads(_ scene: Scene) -> [Check] {
        if let configuration = scene.configuration {
            let sources = SystemText.plural(configuration.sources.count, "source")
            return [Check("config.loads", nil, .ok, "\(scene.options.configuration) is valid: \(sources)")]
        }
        if let hidden = hiddenPath(scene.options.configuration) {
            return [Check("config.loads", nil, .skip, "no permission to read \(hidden)", advice: Doctor.asRoot)]
        }
        return judge(scene.configurationErrors, isRoot: Doctor.isRoot)
    }

    static func judge(_ errors: [ConfigurationError], isRoot: Bool) -> [Check] {
        errors.map { error in
            var place = error.file
            if let line = error.line { place += ":\(line)" }
            let key = error.key.isEmpty ? "" : "\(error.key): "
            // What we may not read the agent may well.
            if !isRoot, error.isForLackOfRights {
                return Check("config.loads", place, .skip, key + error.what, advice: Doctor.asRoot)
            }
            let advice = error.advice ?? "mend it, then check with: agentd --check-config --config \(error.file)"
            return Check("config.loads", place, .fail, key + error.what, advice: advice)
        }
    }

    private static func hiddenPath(_ path: String) -> String? {
        guard !Doctor.isRoot else { return nil }
        let paths = [path] + ConfigurationFileList.files(at: path)
        return paths.first { access($0, R_OK) != 0 && errno == EACCES }
    }

    private static func places(_ scene: Scene, _ files: [String]) -> [Check] {
        var checks: [Check] = []
        var paths = files
        if !files.contains(scene.options.configuration) { paths.insert(scene.options.configuration, at: 0) }
        for path in paths {
            guard let facts = try? FileFacts.look(at: path) else { continue }
            if let check = judgeWritable(path, facts, groupName: Accounts.name(ofGroup:)) { checks.append(check) }
            if facts.kind == .file, Access.isPublic(path),
                let check = judgeSecrets(path, facts, SecretPlaces.find(in: path))
            {
                checks.append(check)
            }
            if let check = readable(path, facts, scene.service) { checks.append(check) }
        }
        if checks.isEmpty, !paths.isEmpty, scene.configuration != nil {
            checks.append(Check("config.private", nil, .ok, "nobody but its owner may change it or read secrets in it"))
        }
        return checks
    }

    /// Whoever can write the agent's configuration can have anything delivered to every service.
    static func judgeWritable(_ path: String, _ facts: FileFacts, groupName: (UInt32) -> String) -> Check? {
        let mode = SystemText.octal(facts.mode)
        if facts.mode & 0o002 != 0 {
            return Check(
                "config.writable",
                path,
                .fail,
                "everyone may change it (mode \(mode))",
                advice: "chmod o-w \(path)"
            )
        }
        if facts.mode & 0o020 != 0, facts.group != 0 {
            let group = groupName(facts.group)
            return Check(
                "config.writable",
                path,
                .warn,
                "every member of the group \(group) may change it (mode \(mode))",
                advice: "chmod g-w \(path), unless they are to decide what services are told"
            )
        }
        return nil
    }

    static func judgeSecrets(_ path: String, _ facts: FileFacts, _ places: [SecretPlaces.Place]) -> Check? {
        guard facts.mode & 0o004 != 0, let worst = places.first(where: \.isCredential) ?? places.first else {
            return nil
        }
        let remedy = "chown root:agent \(path) && chmod 0640 \(path)"
        return Check(
            "config.secrets",
            path,
            worst.isCredential ? .fail : .warn,
            "everyone may read the \(worst.what) in line \(worst.line)",
            advice: worst.isCredential ? "\(remedy); then replace what everyone could read" : remedy
        )
    }

    private static func readable(_ path: String, _ facts: FileFacts, _ service: Identity?) -> Check? {
        guard let service else { return nil }
        let bits = facts.kind == .directory ? Access.Bits.read | Access.Bits.search : Access.Bits.read
        switch Access.realObstacle(bits, at: path, for: service) {
        case .closed:
            let mode = facts.kind == .directory ? "0755" : "0640"
            return Check(
                "config.readable",
                path,
                .fail,
                "the agent's user \(service.name) may not read it (mode \(SystemText.octal(facts.mode)))",
                advice: "chgrp agent \(path) && chmod \(mode) \(path)"
            )
        case .closedDirectory(let directory):
            return Check(
                "config.readable",
                path,
                .fail,
                "the agent's user \(service.name) may not enter \(directory)",
                advice: "chmod o+x \(directory)"
            )
        case nil, .missing, .hidden, .failed: return nil
        }
    }
}

/// Which files a configuration is read from, by the rules of the agent.
enum ConfigurationFileList {
    static func files(at path: String) -> [String] {
        guard let facts = try? FileFacts.look(at: path) else { return [] }
        guard facts.kind == .directory else { return [path] }
        guard let names = try? SmallFile.names(in: path) else { return [] }
        return names.filter { !$0.hasPrefix(".") && ($0.hasSuffix(".yaml") || $0.hasSuffix(".yml")) }
            .map { path.hasSuffix("/") ? path + $0 : path + "/" + $0 }
    }
}
