import CAffinity
import Glibc

/// Nanoseconds of CLOCK_MONOTONIC.
@inline(__always)
func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(bitPattern: Int64(time.tv_sec)) &* 1_000_000_000 &+ UInt64(bitPattern: Int64(time.tv_nsec))
}

/// The system's own sleep: it may be longer, never shorter, unless a signal comes.
func sleep(nanoseconds: UInt64) {
    var time = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    nanosleep(&time, nil)
}

/// The processors that this process may use.
enum Processors {
    static let allowed: [Int32] = (0..<Int32(AFFINITY_WORDS * 64)).filter { affinity_allows($0) != 0 }

    /// Keeps the calling thread on one of them. Where that is refused it runs where it may.
    static func pin(to index: Int) { _ = affinity_pin(allowed[index]) }
}

/// A thread to be joined.
struct JoinableThread {
    private let thread: pthread_t

    private final class Start: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    init(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let start = Unmanaged.passRetained(Start(body))
        let result = pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            },
            start.toOpaque()
        )
        precondition(result == 0, "no thread to be had")
        self.thread = thread
    }

    func join() { pthread_join(thread, nil) }
}

/// Holds threads up until so many have come; then the next ones.
final class Barrier: @unchecked Sendable {
    // SAFETY: the one field never changes; what it points to is made for threads.
    private let barrier = UnsafeMutablePointer<pthread_barrier_t>.allocate(capacity: 1)

    init(_ count: Int) { pthread_barrier_init(barrier, nil, UInt32(count)) }

    deinit {
        pthread_barrier_destroy(barrier)
        barrier.deallocate()
    }

    func wait() { pthread_barrier_wait(barrier) }
}
