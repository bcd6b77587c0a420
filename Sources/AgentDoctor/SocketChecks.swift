internal import AgentAPI
internal import Glibc

/// The sockets. The mode of a socket's file is the right to use it.
enum SocketChecks {
    struct Socket: Sendable {
        var name: String
        var path: String
        var mode: UInt32
        var group: String?
    }

    static func run(_ scene: Scene) -> [Check] {
        let paths = scene.paths
        let sockets = [
            Socket(name: AgentPaths.statusSocketName, path: paths.statusSocket, mode: 0o666, group: nil),
            Socket(name: AgentPaths.configSocketName, path: paths.configSocket, mode: 0o660, group: "agent"),
            Socket(name: AgentPaths.controlSocketName, path: paths.controlSocket, mode: 0o660, group: "agent-admin"),
            Socket(name: AgentPaths.locksSocketName, path: paths.locksSocket, mode: 0o666, group: nil),
        ]
        return sockets.flatMap { check($0, scene) }
    }

    private static func check(_ socket: Socket, _ scene: Scene) -> [Check] {
        let facts: FileFacts
        do throws(FileFacts.Failure) {
            facts = try FileFacts.look(at: socket.path)
        } catch {
            if error.isMissing { return scene.isRunning ? [missing(socket, generation: scene.status?.generation)] : [] }
            return [Check("socket.exists", socket.name, .skip, "cannot look: \(error.text)", advice: Doctor.asRoot)]
        }
        guard scene.isRunning else { return stale(socket, scene) }
        let problems = judge(socket, facts, groupID: Accounts.group(named:), groupName: Accounts.name(ofGroup:))
        guard facts.kind == .socket else { return problems }
        return problems + [connects(socket)]
    }

    static func missing(_ socket: Socket, generation: UInt64?) -> Check {
        if socket.name == AgentPaths.configSocketName, generation == 0 {
            let found = "it is not there yet: there is no configuration to be read from it"
            let advice = "see the checks of the sources below"
            return Check("socket.exists", socket.name, .warn, found, advice: advice)
        }
        return Check(
            "socket.exists",
            socket.name,
            .fail,
            "the agent runs, but there is no \(socket.path)",
            advice: "somebody has removed it: systemctl restart agent"
        )
    }

    /// Without an agent there is nothing to connect to, and connecting might start one.
    private static func stale(_ socket: Socket, _ scene: Scene) -> [Check] {
        guard case .free = scene.probe else {
            if case .missing = scene.probe { return [staleCheck(socket)] }
            return []
        }
        return [staleCheck(socket)]
    }

    private static func staleCheck(_ socket: Socket) -> Check {
        Check(
            "socket.stale",
            socket.name,
            .warn,
            "\(socket.path) is there and no agent runs: one that did was killed, or systemd is about to start one",
            advice: "start the agent, which replaces it: systemctl start agent; or remove it: rm \(socket.path)"
        )
    }

    static func judge(
        _ socket: Socket,
        _ facts: FileFacts,
        groupID: (String) -> UInt32?,
        groupName: (UInt32) -> String
    ) -> [Check] {
        guard facts.kind == .socket else {
            let found = "\(socket.path) is \(facts.kind.name), not a socket"
            let advice = "remove it, then: systemctl restart agent"
            return [Check("socket.kind", socket.name, .fail, found, advice: advice)]
        }
        var checks: [Check] = []
        // To connect is to write; the bits for executing mean nothing here.
        if facts.mode & 0o666 != socket.mode {
            let mode = SystemText.octal(facts.mode)
            let tooMuch = facts.mode & 0o666 & ~socket.mode != 0
            let what = tooMuch ? "lets in who must not come in" : "keeps out who may come in"
            checks.append(
                Check(
                    "socket.mode",
                    socket.name,
                    .fail,
                    "mode \(mode) \(what); it should be \(SystemText.octal(socket.mode))",
                    advice: "chmod \(SystemText.octal(socket.mode)) \(socket.path), or have it made anew: "
                        + "systemctl restart agent"
                )
            )
        }
        if let group = socket.group, let id = groupID(group), id != facts.group {
            checks.append(
                Check(
                    "socket.group",
                    socket.name,
                    .fail,
                    "it belongs to \(groupName(facts.group)), so members of the group \(group) are kept out",
                    advice: "chgrp \(group) \(socket.path)"
                )
            )
        }
        return checks
    }

    private static func connects(_ socket: Socket) -> Check {
        let code = connect(to: socket.path)
        switch code {
        case 0: return Check("socket.connects", socket.name, .ok, "it takes connections")
        case EACCES, EPERM:
            let found = "no permission to use it, as is right for those outside its group"
            return Check("socket.connects", socket.name, .skip, found, advice: Doctor.asRoot)
        case EAGAIN:
            let found = "its queue of connections is full: the agent does not take them"
            let advice =
                "see which threads hang: agentctl locks; ps -L -p $(pidof agentd); then: systemctl restart agent"
            return Check("socket.connects", socket.name, .fail, found, advice: advice)
        default:
            let found = "it takes no connections: \(SystemText.error(code))"
            let advice = "somebody has put another socket in its place: systemctl restart agent"
            return Check("socket.connects", socket.name, .fail, found, advice: advice)
        }
    }

    /// - Returns: 0, or an error number. Sends nothing, and does not wait.
    private static func connect(to path: String) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return ENAMETOOLONG }
        // SAFETY: the path and its zero fit, as was just seen.
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, kind, 0)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        // SAFETY: any socket address begins as a sockaddr does, and the length is this one's.
        let result = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        return result == 0 ? 0 : errno
    }
}
