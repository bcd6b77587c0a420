internal import AgentAPI
internal import ConfigAgent
internal import ConfigPublish
internal import ConfigSnapshot
internal import Glibc
internal import LockLadder
internal import NIOCore
internal import NIOHTTP1

/// What is commanded on the control socket: by whom the kernel says, and with the reason that they give.
struct OperatorRoute {
    let agent: Agent
    let loop: any EventLoop
    let peer: PeerProcess

    /// - Returns: `nil` for another path.
    func answer(_ request: LocalRequest) -> LocalAnswer? {
        let action: OperatorAction
        switch request.path {
        case Routes.rollback:
            guard let generation = request.query["generation"].flatMap({ UInt64($0) }) else {
                return .now(Self.noGeneration(request.query["generation"]))
            }
            action = .rollback(generation)
        case Routes.pin: action = .pin
        case Routes.unpin: action = .unpin
        case Routes.freeze: action = .freeze
        case Routes.thaw: action = .thaw
        default: return nil
        }
        if let refusal = Self.badReason(request) { return .now(refusal) }
        let (agent, peer, reason) = (agent, peer, Self.reason(request))
        return SlowAnswer.make(loop, in: .commands) { deadline in
            let command = Command(by: peer.actor, at: WallClock.nowNanoseconds, reason: reason)
            do throws(Agent.Refusal) {
                return .json(ActionReport(action, try agent.perform(action, command, until: deadline)))
            } catch {
                return .refused(error)
            }
        }
    }

    /// Takes a document that rules refuse.
    func accept(_ request: LocalRequest) -> LocalAnswer {
        if let refusal = Self.badReason(request) { return .now(refusal) }
        guard let digest = request.query["digest"] else {
            let hint = "what was refused: agentctl quarantine"
            return .now(.error(.badRequest, "bad_digest", "there is no 'digest'", hint: hint))
        }
        let digits = (digest.hasPrefix("sha256:") ? String(digest.dropFirst(7)) : digest).lowercased()
        let (agent, peer, reason, source) = (agent, peer, Self.reason(request), request.query["source"])
        return SlowAnswer.make(loop, in: .commands) { deadline in
            let command = Command(by: peer.actor, at: WallClock.nowNanoseconds, reason: reason)
            do throws(Agent.Refusal) {
                var (document, isDurable) = try agent.accept(digits, of: source, command, until: deadline)
                document.accepted = command
                return .json(AcceptReport(document: QuarantinedDocument(document), durable: isDurable))
            } catch {
                return .refused(error)
            }
        }
    }

    /// Has it told who has commanded what is done elsewhere, and why it was not, where it was not.
    @Sendable
    func note(_ action: OperatorAction, reason: String?, refusal: String?) {
        let (agent, peer) = (agent, peer)
        // The user's name may be a server's business.
        let thread = NamedThread("agent-command") {
            agent.note(action, Command(by: peer.actor, at: WallClock.nowNanoseconds, reason: reason), refusal: refusal)
        }
        if thread == nil {
            let actor = Actor(uid: peer.uid, pid: peer.pid)
            agent.note(action, Command(by: actor, at: WallClock.nowNanoseconds, reason: reason), refusal: refusal)
        }
    }

    /// In one line, so that in the journal it is nobody else's words; `nil` where none is given.
    static func reason(_ request: LocalRequest) -> String? {
        let words = request.query["reason"]?.split { $0.isWhitespace || $0.unicodeScalars.contains { $0.value < 0x20 } }
        return words.flatMap { $0.isEmpty ? nil : $0.joined(separator: " ") }
    }

    static func badReason(_ request: LocalRequest) -> LocalResponse? {
        guard let reason = request.query["reason"], reason.utf8.count > Command.longestReason else { return nil }
        return .error(.badRequest, "bad_reason", "a reason of more than \(Command.longestReason) bytes")
    }

    private static func noGeneration(_ text: String?) -> LocalResponse {
        .error(
            .badRequest,
            "bad_generation",
            text.map { "generation is '\($0)'; it has to be a number" } ?? "there is no 'generation'",
            hint: "the generations that are kept: agentctl history"
        )
    }
}

extension LocalResponse {
    static func refused(_ refusal: Agent.Refusal) -> LocalResponse {
        let status: HTTPResponseStatus =
            switch refusal.code {
            case "unknown_generation", "unknown_digest": .notFound
            case "bad_digest": .badRequest
            case "late": .gatewayTimeout
            case "stopping", "no_snapshot": .serviceUnavailable
            default: .unprocessableEntity
            }
        return .error(status, refusal.code, refusal.message, hint: refusal.hint)
    }
}

extension ActionReport {
    fileprivate init(_ action: OperatorAction, _ done: Agent.Done) {
        self.init(
            action: action.name,
            generation: done.generation,
            durable: done.isDurable,
            operatorStatus: OperatorStatus(done.state)
        )
    }
}

extension OperatorStatus {
    init(_ state: OperatorState) {
        self.init(
            pin: state.pin.map { PinInfo(generation: $0.generation, command: CommandInfo($0.command)) },
            freeze: state.freeze.map { CommandInfo($0) }
        )
    }
}

extension CommandInfo {
    init(_ command: Command) {
        self.init(
            uid: command.by.uid,
            user: command.by.user,
            pid: command.by.pid,
            at: WireTime(unixNanoseconds: command.at),
            reason: command.reason
        )
    }
}
