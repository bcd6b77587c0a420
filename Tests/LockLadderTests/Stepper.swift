#if arch(x86_64)
    import CLockLadder
    import Glibc
    import LockLadder
    import Synchronization

    /// Runs code one instruction at a time, and stops it before a chosen one until something else has happened.
    ///
    /// The processor's trap flag, set in what a handler of SIGTRAP returns to. One thread of the process at a time, and
    /// only in processes that a test has started. Not under the thread sanitizer, which puts signals off.
    enum Stepper {
        private static let steps = Count()
        private static let stopBefore = Count()
        private static let isArmed = Count()
        /// 1 while the stepped thread stands still.
        static let isStopped = Count()
        /// Lets it go on.
        static let mayGoOn = Count()

        static func install() {
            var action = sigaction()
            action.sa_flags = Int32(SA_SIGINFO)
            action.__sigaction_handler.sa_sigaction = { _, _, context in
                guard let context else { return }
                // In ucontext_t the registers begin at 40; the flags are number 17, of 8 bytes each. Bit 8 is the trap.
                let flags = (context + 40 + 17 * 8).assumingMemoryBound(to: UInt.self)
                guard Stepper.isArmed.now == 1 else {
                    flags.pointee &= ~(1 << 8)
                    return
                }
                flags.pointee |= 1 << 8
                guard Stepper.steps.add(1) == Stepper.stopBefore.now else { return }
                // Stopped once: the rest runs at full speed.
                Stepper.isArmed.set(0)
                flags.pointee &= ~(1 << 8)
                Stepper.isStopped.set(1)
                let limit = cll_now_ns() + patience
                while Stepper.mayGoOn.now == 0, cll_now_ns() < limit { usleep(20) }
            }
            sigaction(SIGTRAP, &action, nil)
        }

        /// The calling thread is stopped before its so many next instruction.
        static func arm(stoppingBefore step: Int) {
            steps.set(0)
            stopBefore.set(step)
            isArmed.set(1)
            raise(SIGTRAP)
        }

        /// - Returns: how many instructions were stepped through.
        @discardableResult
        static func disarm() -> Int {
            isArmed.set(0)
            return steps.now
        }
    }

    /// Two threads: one is stopped before an instruction of what it does; the other does its own then, until it is done
    /// or sleeps; the first goes on. Both must come to an end, wherever the first was stopped.
    struct Interleaving: Sendable {
        /// Calls its argument where the steps begin.
        var stepped: @Sendable (() -> Void) -> Void
        /// By another thread, while the first stands still.
        var other: @Sendable () -> Void

        /// - Returns: what is wrong.
        func check(seed: UInt64) throws -> [String] {
            Stepper.install()
            var random = SplitMix(seed: seed)
            let begun = MonotonicTime.now
            // Never stopped: how long is it?
            let length = Count()
            try onThreads(1) { [stepped] _ in
                stepped { Stepper.arm(stoppingBefore: 0) }
                length.set(Stepper.disarm())
            }
            guard length.now > 20 else { return ["nothing was stepped through"] }
            let order = (1...length.now).shuffled(using: &random)
            for (point, step) in order.enumerated() {
                guard check(stoppingBefore: step) else { return ["stopped before \(step) of \(length.now): no end"] }
                // As many points as a few seconds allow.
                if MonotonicTime.now.nanoseconds(since: begun) > 3_000_000_000 {
                    return point > 40 ? [] : ["\(point) of \(length.now) points only"]
                }
            }
            return []
        }

        private func check(stoppingBefore step: Int) -> Bool {
            Stepper.isStopped.set(0)
            Stepper.mayGoOn.set(0)
            let ended = Count()
            let otherEnded = Count()
            let otherThread = Plain<UInt32>(0)
            let first = NamedThread("test-stepped") { [stepped] in
                stepped { Stepper.arm(stoppingBefore: step) }
                Stepper.disarm()
                ended.add(1)
            }
            let second = NamedThread("test-other") { [other] in
                _ = eventually { Stepper.isStopped.now == 1 || ended.now == 1 }
                otherThread.change { $0 = CurrentThread.id }
                other()
                otherEnded.add(1)
            }
            guard first != nil, second != nil else { return false }
            _ = eventually {
                otherEnded.now == 1 || otherThread.now != 0 && Kernel.futexSleep(of: otherThread.now) != nil
            }
            Stepper.mayGoOn.set(1)
            return eventually(within: 5_000_000_000) { ended.now == 1 && otherEnded.now == 1 }
        }
    }
#endif
