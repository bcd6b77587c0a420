import Glibc
import LockLadder
import Synchronization

/// How long a test waits for what must happen before it says that it did not. Only a failing test waits that long.
let patience: UInt64 = 240_000_000_000

/// Waits until `condition` holds. `false`: it did not within the test's patience.
func eventually(within nanoseconds: UInt64 = patience, _ condition: () -> Bool) -> Bool {
    let deadline = MonotonicTime.now.advanced(byNanoseconds: nanoseconds)
    var rounds = 0
    while !condition() {
        if MonotonicTime.now > deadline { return false }
        rounds += 1
        if rounds < 64 { sched_yield() } else { usleep(100) }
    }
    return true
}

/// Threads did not come to an end: the test fails instead of hanging, and the threads are left behind.
struct Stuck: Error {}

/// Runs `body` on `count` threads, which begin together, and waits until all have returned.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) throws {
    let ready = Count()
    let done = Count()
    for index in 0..<count {
        let thread = NamedThread("test-\(index)") {
            ready.add(1)
            while ready.now < count { sched_yield() }
            body(index)
            done.add(1)
        }
        if thread == nil { throw Stuck() }
    }
    if !eventually(within: 2 * patience, { done.now == count }) { throw Stuck() }
}

/// Runs what might wait for ever on a thread of its own. `false`: it still does.
func returns(_ body: @escaping @Sendable () -> Void) -> Bool {
    let done = Count()
    let thread = NamedThread("test-bounded") {
        body()
        done.add(1)
    }
    return thread != nil && eventually { done.now == 1 }
}

/// An integer that threads share, with a full order.
final class Count: Sendable {
    private let value: Atomic<Int>

    init(_ initial: Int = 0) { value = Atomic(initial) }

    @discardableResult
    func add(_ amount: Int) -> Int { value.add(amount, ordering: .sequentiallyConsistent).newValue }

    func set(_ new: Int) { value.store(new, ordering: .sequentiallyConsistent) }

    var now: Int { value.load(ordering: .sequentiallyConsistent) }
}

/// An integer that orders nothing, so that it hides no race of what is tested from the sanitizer.
final class LooseCount: Sendable {
    private let value = Atomic<Int>(0)

    @discardableResult
    func add(_ amount: Int) -> Int { value.add(amount, ordering: .relaxed).newValue }

    var now: Int { value.load(ordering: .relaxed) }
}

/// A value behind the plainest lock there is: the reference, and the notebook of the tests.
///
/// A lock of the C library, which the thread sanitizer knows; that of the standard library's `Mutex` it cannot see.
final class Plain<Value: Sendable>: @unchecked Sendable {
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private var value: Value

    init(_ value: Value) {
        self.value = value
        lock = .allocate(capacity: 1)
        lock.initialize(to: pthread_mutex_t())
        pthread_mutex_init(lock, nil)
    }

    deinit {
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    func change<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return body(&value)
    }

    var now: Value { change { $0 } }
}

/// What threads found wrong: at most a few lines of it. To look and to find nothing orders nothing.
final class Findings: Sendable {
    private let lines = Plain<[String]>([])
    private let noted = LooseCount()

    func note(_ line: @autoclosure () -> String) {
        let line = line()
        noted.add(1)
        lines.change { if $0.count < 20 { $0.append(line) } }
    }

    var isEmpty: Bool { noted.now == 0 }

    func expect(_ holds: Bool, _ line: @autoclosure () -> String) {
        if !holds { note(line()) }
    }

    var all: [String] { lines.now }
}

/// Random numbers that are the same for the same seed.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// An object that is counted while it lives.
final class Counted: Sendable {
    let number: Int
    private let live: LooseCount

    init(_ number: Int, in live: LooseCount) {
        self.number = number
        self.live = live
        live.add(1)
    }

    deinit { live.add(-1) }
}

/// What the process is linked with, looked up by name.
enum Linked {
    static let hasThreadSanitizer = symbol("__tsan_init") != nil
    static let hasAddressSanitizer = symbol("__asan_init") != nil

    /// How many bytes the allocation at `start` has. Glibc's modulemap leaves <malloc.h> out.
    static func usableSize(of start: UnsafeMutableRawPointer) -> Int {
        typealias Function = @convention(c) (UnsafeMutableRawPointer?) -> Int
        guard let function = symbol("malloc_usable_size") else { return 0 }
        return unsafeBitCast(function, to: Function.self)(start)
    }

    private static func symbol(_ name: String) -> UnsafeMutableRawPointer? {
        guard let program = dlopen(nil, RTLD_NOW) else { return nil }
        return dlsym(program, name)
    }
}

/// Threads as the kernel sees them.
enum Kernel {
    /// The word's address and the value with which a thread of ours sleeps on a futex of the ladder; `nil` when it
    /// does not sleep on one.
    ///
    /// FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG is what the ladder calls; neither the C library's locks nor the
    /// sanitizers' use it.
    static func futexSleep(of threadID: UInt32) -> (address: String, expected: UInt64)? {
        let words = read("/proc/self/task/\(threadID)/syscall").split(separator: " ")
        guard words.count > 4, words[0] == futexNumber, words[2] == "0x89" else { return nil }
        guard let expected = UInt64(words[3].dropFirst(2), radix: 16) else { return nil }
        return (String(words[1]), expected)
    }

    /// Whether a thread sleeps in front of a taken mutex.
    static func sleepsForMutex(_ threadID: UInt32) -> Bool { futexSleep(of: threadID)?.expected == 1 }

    /// Whether a thread sleeps in `WakeSignal.wait`.
    static func sleepsForSignal(_ threadID: UInt32) -> Bool { futexSleep(of: threadID)?.expected == 0 }

    #if arch(x86_64)
        private static let futexNumber = "202"
    #else
        private static let futexNumber = "98"
    #endif

    static func read(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 512)
        let length = Glibc.read(descriptor, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(length, 0)), as: UTF8.self)
    }
}
