internal import CSandbox
internal import ConfigGuard
internal import Glibc

/// Why a command was not started, and what to do about it. That says nothing about the document.
struct NotStarted {
    private let step: String
    private let code: Int32
    private let program: String

    init(_ failure: cs_failure, program: String) {
        step = withUnsafeBytes(of: failure.step) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        code = failure.code
        self.program = program
    }

    private var isOfProgram: Bool { step == "run it" }

    var answer: CheckAnswer {
        // What is longer is cut, and why must not be what is missing.
        let name = program.count > 150 ? "…\(program.suffix(150))" : program
        let what = isOfProgram ? "run" : "\(step) for"
        return .notRun("cannot \(what) \(name): \(String(cString: strerror(code)))", advice: advice)
    }

    private var advice: String? {
        guard isOfProgram else {
            return "without systemd's units a sandbox needs namespaces of users: sysctl user.max_user_namespaces"
        }
        switch code {
        case ENOENT where access(program, F_OK) == 0:
            return "it is there: what its first line (#!) names, or its loader, is missing, or it lies where commands "
                + "see nothing, as below /run"
        case ENOENT, ENOTDIR: return "install it, or mend 'guard.check' in the agent's configuration"
        case EACCES where Check.isDirectory(program): return "it is a directory: name a program in 'guard.check'"
        case EACCES: return "chmod a+rx it, and let all search the directories above it: it is run as nobody"
        case ENOEXEC: return "it is no program of this machine: a script needs a first line like #!/bin/sh"
        default: return nil
        }
    }
}
