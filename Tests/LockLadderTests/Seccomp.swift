import Glibc

/// Refuses a system call to the process from now on, as a container's filter would. Cannot be taken back: only for
/// processes that a test has started.
enum Seccomp {
    // Of <linux/filter.h>, <linux/seccomp.h> and <asm/unistd.h>, which Glibc's modulemap leaves out.
    private struct Instruction {
        var code: UInt16
        var whenTrue: UInt8 = 0
        var whenFalse: UInt8 = 0
        var operand: UInt32
    }

    private struct Program {
        var length: UInt16
        var instructions: UnsafePointer<Instruction>
    }

    #if arch(x86_64)
        private static let membarrierNumber: UInt32 = 324
        private static let seccompNumber = 317
        private static let prctlNumber = 157
    #else
        private static let membarrierNumber: UInt32 = 283
        private static let seccompNumber = 277
        private static let prctlNumber = 167
    #endif

    /// `syscall` takes any number of arguments, which Swift cannot call; six words are what it reads.
    private typealias SystemCall = @convention(c) (Int, Int, Int, UInt, Int, Int, Int) -> Int

    /// Refuses membarrier with EPERM, on all threads.
    ///
    /// - Returns: whether it is refused now.
    static func refuseMembarrier() -> Bool {
        guard let program = dlopen(nil, RTLD_NOW), let symbol = dlsym(program, "syscall") else { return false }
        let systemCall = unsafeBitCast(symbol, to: SystemCall.self)
        let instructions = [
            // Load the number of the call.
            Instruction(code: 0x20, operand: 0),
            Instruction(code: 0x15, whenFalse: 1, operand: membarrierNumber),
            // SECCOMP_RET_ERRNO and SECCOMP_RET_ALLOW.
            Instruction(code: 0x06, operand: 0x0005_0000 | UInt32(EPERM)),
            Instruction(code: 0x06, operand: 0x7FFF_0000),
        ]
        // PR_SET_NO_NEW_PRIVS
        guard systemCall(prctlNumber, 38, 1, 0, 0, 0, 0) == 0 else { return false }
        let installed = instructions.withUnsafeBufferPointer { instructions -> Int in
            guard let start = instructions.baseAddress else { return -1 }
            var filter = Program(length: UInt16(instructions.count), instructions: start)
            // SECCOMP_SET_MODE_FILTER with SECCOMP_FILTER_FLAG_TSYNC.
            return withUnsafePointer(to: &filter) { systemCall(seccompNumber, 1, 1, UInt(bitPattern: $0), 0, 0, 0) }
        }
        guard installed == 0 else { return false }
        // MEMBARRIER_CMD_QUERY
        return systemCall(Int(membarrierNumber), 0, 0, 0, 0, 0, 0) == -1 && errno == EPERM
    }
}
