internal import CLockLadder
public import Synchronization

/// A value that is made once, by whoever asks first; all others get the same one.
///
/// Use it for what is expensive to make, may fail, and must not be made twice: a parsed schema, an opened directory.
/// Where making cannot fail and needs no name in the accounting, a `static let` is simpler. Do not use it from async
/// code when making waits for other tasks (waiters block their threads), nor for what must be made anew later
/// (``SnapshotCell``).
///
/// - Progress: once made, reading is wait-free: one load and a copy of the value. Until then callers block while one
///   of them makes the value. A maker that is stopped stops those who wait for it; the overload with a deadline lets
///   them go.
/// - Failure: what `make` throws goes to the caller that ran it. The value is then still to be made, and one of the
///   waiting callers, or the next, tries with its own `make`.
/// - Memory order: what was written before `make` returned is seen by everyone who gets the value.
/// - Thread safety: any thread may call anything at any time. `make` runs without a lock held.
/// - Recursion: asking for the value within its own `make`, on the same thread, stops the process with a message that
///   names both call sites. It could only wait for itself for ever, and the error is the programmer's: there is no
///   answer that the caller's own `Failure` could carry. A `make` that waits for another thread that asks for the
///   value, or two whose makers ask for each other's, is not recognised; a deadline ends such a wait.
/// - Errors: those of `make` only.
@safe
public final class Once<Value: Sendable>: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: `storage` is written by the one maker before `state` becomes `made`, and read only
    // after that; what else is not atomic is immutable.

    /// The states of the futex word.
    @usableFromInline static var made: UInt32 { 3 }
    private static var empty: UInt32 { 0 }
    private static var making: UInt32 { 1 }
    private static var makingWithWaiters: UInt32 { 2 }

    /// The futex word. Its own allocation: the kernel needs an address that stays.
    @usableFromInline let state: UnsafeMutablePointer<Atomic<UInt32>>
    @usableFromInline let storage: UnsafeMutablePointer<Value>
    private let meter = OnceMeter()
    private let probe: LockProbe

    /// - Parameter name: what the accounting calls it: lower case, parts joined by dots.
    public init(_ name: StaticString) {
        probe = LockProbe(name: name, kind: .once, meter: meter)
        unsafe state = .allocate(capacity: 1)
        unsafe state.initialize(to: Atomic(Self.empty))
        unsafe storage = .allocate(capacity: 1)
        ContentionRegistry.shared.enter(probe)
    }

    deinit {
        ContentionRegistry.shared.leave(probe)
        // Relaxed: nobody else is left, and the last release ordered what they did before.
        if unsafe state.pointee.load(ordering: .relaxed) == Self.made { unsafe storage.deinitialize(count: 1) }
        unsafe storage.deallocate()
        unsafe state.deinitialize(count: 1)
        unsafe state.deallocate()
    }

    /// The value, made by `make` if nobody has made it yet.
    ///
    /// Waits without a deadline while another caller makes it: that caller runs, or is stopped by what its own `make`
    /// waits for. Where that may be long, use the overload with a deadline.
    @inlinable
    public func value<Failure: Error>(
        fileID: StaticString = #fileID,
        line: UInt = #line,
        function: StaticString = #function,
        _ make: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        // Acquiring: pairs with the release after the value was stored.
        if unsafe state.pointee.load(ordering: .acquiring) == Self.made { return unsafe storage.pointee }
        // SAFETY: without a deadline the answer is never nil.
        return unsafe try makeOrWait(until: nil, CallSite(fileID: fileID, line: line), function, make).unsafelyUnwrapped
    }

    /// The value, made by `make` if nobody has made it yet; `nil` when another caller was still making it at `deadline`.
    ///
    /// The deadline is for waiting. It does not stop this caller's own `make`, which is run also when the deadline has
    /// passed already.
    @inlinable
    public func value<Failure: Error>(
        until deadline: MonotonicTime,
        fileID: StaticString = #fileID,
        line: UInt = #line,
        function: StaticString = #function,
        _ make: () throws(Failure) -> Value
    ) throws(Failure) -> Value? {
        // Acquiring: as above.
        if unsafe state.pointee.load(ordering: .acquiring) == Self.made { return unsafe storage.pointee }
        return try makeOrWait(until: deadline, CallSite(fileID: fileID, line: line), function, make)
    }

    /// The value if it has been made. Never waits.
    @inlinable
    public var valueIfMade: Value? {
        // Acquiring: as in `value`.
        unsafe state.pointee.load(ordering: .acquiring) == Self.made ? storage.pointee : nil
    }

    /// The figures: an attempt to make the value counts as an acquisition, a call that slept as contended.
    public var statistics: LockStatistics { probe.statistics }

    @usableFromInline
    @inline(never)
    func makeOrWait<Failure: Error>(
        until deadline: MonotonicTime?,
        _ site: CallSite,
        _ function: StaticString,
        _ make: () throws(Failure) -> Value
    ) throws(Failure) -> Value? {
        var slept: LockProbe.Wait?
        // Ends: a round is repeated only after a sleep, or because the maker had just ended; the deadline, if there is
        // one, ends the sleeps.
        while true {
            // Acquiring: as the maker this one sees what a failed attempt left behind, as a reader the value.
            let (isMaker, found) = unsafe state.pointee.compareExchange(
                expected: Self.empty,
                desired: Self.making,
                ordering: .acquiring
            )
            if isMaker {
                tell(slept)
                return try makeNow(site, make)
            }
            if found == Self.made {
                tell(slept)
                return unsafe storage.pointee
            }
            guard sleep(until: deadline, site, in: function, &slept) else {
                if let slept { probe.abandon(slept) }
                return valueIfMade
            }
        }
    }

    /// The wait is over. No lock is held here.
    private func tell(_ slept: LockProbe.Wait?) {
        guard var slept else { return }
        slept.runs(wokenAt: meter.endedAt.load(ordering: .relaxed))
        guard let record = probe.end(slept) else { return }
        ContentionRegistry.shared.report(record)
    }

    private func makeNow<Failure: Error>(
        _ site: CallSite,
        _ make: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        // Relaxed: a thread looks here only for its own number, which no other thread stores.
        meter.attempts.add(1, ordering: .relaxed)
        meter.makerSite.store(site.word, ordering: .relaxed)
        meter.maker.store(cll_thread_id(), ordering: .relaxed)
        let value: Value
        do throws(Failure) {
            value = try make()
        } catch {
            finish(Self.empty)
            throw error
        }
        unsafe storage.initialize(to: value)
        finish(Self.made)
        return value
    }

    private func finish(_ outcome: UInt32) {
        // Relaxed: before the exchange below, so that the next maker's number comes after it.
        meter.maker.store(0, ordering: .relaxed)
        if Accounting.isCompiledIn { meter.endedAt.store(cll_now_ns(), ordering: .relaxed) }
        // Releasing: the value, or what a failed attempt left behind, is seen by those who acquire the new state.
        guard unsafe state.pointee.exchange(outcome, ordering: .releasing) == Self.makingWithWaiters else { return }
        // All of them, after a failure too: were it one, and that one's deadline just passed, the rest would sleep on.
        let word = unsafe UnsafeRawPointer(state).assumingMemoryBound(to: UInt32.self)
        _ = unsafe cll_futex_wake(word, .max)
    }

    /// Sleeps until the maker has ended, or for no reason. `false`: the deadline passed.
    private func sleep(
        until deadline: MonotonicTime?,
        _ site: CallSite,
        in function: StaticString,
        _ slept: inout LockProbe.Wait?
    ) -> Bool {
        // Relaxed: see makeNow.
        let makerSite = meter.lastHolder
        if meter.maker.load(ordering: .relaxed) == cll_thread_id() { trapRecursion(site, makerSite) }
        // Relaxed: says only that somebody is about to sleep. On failure the kernel or the next round looks again.
        let found = unsafe state.pointee.compareExchange(
            expected: Self.making,
            desired: Self.makingWithWaiters,
            ordering: .relaxed
        )
        guard found.exchanged || found.original == Self.makingWithWaiters else { return true }
        var wait = slept ?? probe.beginWait(.shared, at: site, in: function, heldBy: makerSite)
        wait.parks += 1
        slept = wait
        let word = unsafe UnsafeRawPointer(state).assumingMemoryBound(to: UInt32.self)
        // To the kernel's caller 0 means "no deadline"; the beginning of the clock is one, long past.
        let limit = deadline.map { max($0.nanoseconds, 1) } ?? 0
        return unsafe cll_futex_wait(word, Self.makingWithWaiters, limit) != cll_deadline_passed
    }

    private func trapRecursion(_ site: CallSite, _ makerSite: CallSite) -> Never {
        fatalError("Once \(probe.name): asked for at \(site) by the thread that is making it for \(makerSite)")
    }
}

/// What a ``Once`` counts, and who makes its value.
private final class OnceMeter: LockMeter {
    /// The thread that makes the value, 0 for none, and its call site.
    let maker = Atomic<UInt32>(0)
    let makerSite = Atomic<UInt>(0)
    let attempts = Atomic<UInt64>(0)
    /// When the last attempt ended.
    let endedAt = Atomic<UInt64>(0)

    // Relaxed, both: figures.
    var acquisitions: UInt64 { attempts.load(ordering: .relaxed) }
    var lastHolder: CallSite { CallSite(word: makerSite.load(ordering: .relaxed)) }
}
