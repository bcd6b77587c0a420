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

    /// Refuses membarrier with EPERM, on all threads.
    ///
    /// - Returns: whether it is refused now.
    static func refuseMembarrier() -> Bool {
        let instructions = [
            // Load the number of the call.
            Instruction(code: 0x20, operand: 0),
            Instruction(code: 0x15, whenFalse: 1, operand: UInt32(SystemCall.membarrier)),
            // SECCOMP_RET_ERRNO and SECCOMP_RET_ALLOW.
            Instruction(code: 0x06, operand: 0x0005_0000 | UInt32(EPERM)),
            Instruction(code: 0x06, operand: 0x7FFF_0000),
        ]
        // PR_SET_NO_NEW_PRIVS
        guard SystemCall.run(SystemCall.prctl, 38, 1) == 0 else { return false }
        let installed = instructions.withUnsafeBufferPointer { instructions -> Int in
            guard let start = instructions.baseAddress else { return -1 }
            var filter = Program(length: UInt16(instructions.count), instructions: start)
            // SECCOMP_SET_MODE_FILTER with SECCOMP_FILTER_FLAG_TSYNC.
            return withUnsafePointer(to: &filter) { SystemCall.run(SystemCall.seccomp, 1, 1, Int(bitPattern: $0)) }
        }
        guard installed == 0 else { return false }
        // MEMBARRIER_CMD_QUERY
        return SystemCall.run(SystemCall.membarrier) == -1 && errno == EPERM
    }
}
