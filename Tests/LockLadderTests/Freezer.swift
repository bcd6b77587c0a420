import CLockLadder
import Glibc
import LockLadder

/// Stops threads where they are, at any instruction, for a moment: what a busy machine does once in a million times,
/// some ten thousand times a second. Uses a signal of the process: only in processes that a test has started.
///
/// Under the thread sanitizer signals wait until the thread calls the system: there it stops hardly anything.
final class Freezer: Sendable {
    private let targets = Plain<[UInt32]>([])
    private let isRunning = Count(1)
    private let stops = Count()

    init?() {
        // Keeps `errno`, which the code that was stopped may be about to read.
        signal(SIGUSR2) { _ in
            let kept = errno
            usleep(useconds_t(20 + cll_now_ns() % 128))
            errno = kept
        }
        let thread = NamedThread("test-freezer") { [targets, isRunning, stops] in
            var random = SplitMix(seed: 1)
            while isRunning.now > 0 {
                guard let target = targets.now.randomElement(using: &random) else {
                    sched_yield()
                    continue
                }
                // tgkill: a thread that has ended meanwhile is an error, not another's thread.
                if SystemCall.run(SystemCall.tgkill, Int(getpid()), Int(target), Int(SIGUSR2)) == 0 { stops.add(1) }
                for _ in 0..<random.next() % 512 { cll_pause() }
            }
        }
        guard thread != nil else { return nil }
    }

    deinit { isRunning.set(0) }

    /// From now on the calling thread is stopped now and then.
    func enter() {
        let thread = CurrentThread.id
        targets.change { $0.append(thread) }
    }

    func leave() {
        let thread = CurrentThread.id
        targets.change { $0.removeAll { $0 == thread } }
    }

    /// How often a thread was stopped.
    var count: Int { stops.now }
}

/// System calls for which Glibc's modulemap has no function.
enum SystemCall {
    #if arch(x86_64)
        static let membarrier = 324
        static let seccomp = 317
        static let prctl = 157
        static let tgkill = 234
    #else
        static let membarrier = 283
        static let seccomp = 277
        static let prctl = 167
        static let tgkill = 131
    #endif

    /// `syscall` takes any number of arguments, which Swift cannot call; six words are what it reads.
    private typealias Function = @convention(c) (Int, Int, Int, Int, Int, Int, Int) -> Int

    private static let function: Function? = {
        guard let program = dlopen(nil, RTLD_NOW), let symbol = dlsym(program, "syscall") else { return nil }
        return unsafeBitCast(symbol, to: Function.self)
    }()

    static func run(_ number: Int, _ first: Int = 0, _ second: Int = 0, _ third: Int = 0) -> Int {
        function?(number, first, second, third, 0, 0, 0) ?? -1
    }
}
