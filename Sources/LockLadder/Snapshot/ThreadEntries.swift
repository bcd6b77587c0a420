internal import CLockLadder

/// What threads keep for the objects that they read without a handle: at most one entry for each thread and object, in
/// thread-local memory, found by the object's number.
///
/// A number belongs to one object at a time. When the object goes, its entries are cleared on all threads before the
/// number is given away again; when a thread ends, the slots in its entries are given back. Both happen under one lock.
enum ThreadEntries {
    /// A number that means: this object has no entries. There are few numbers; whoever comes too late reads through a
    /// reader made for each read.
    static let none: UInt = 0

    private struct State {
        /// One bit for each number that is given away; 0 is nobody's.
        var taken: UInt32 = 1
        /// Threads with entries, linked through them.
        var firstThread: UInt = 0
        /// How to give back the slot of each object.
        var giveBack = [@Sendable (UInt) -> Void](repeating: { _ in }, count: Int(CLL_ENTRIES))
    }

    private static let state = Mutex("ladder.threads", State())

    /// A number for a new object, or ``none``.
    ///
    /// - Parameter giveBack: gives back a slot of the object's, by its address, on a thread that ends. Runs under the lock: it must only
    ///   store to the slot.
    static func claim(giveBack: @escaping @Sendable (UInt) -> Void) -> UInt {
        state.withLock { state in
            let number = (~state.taken).trailingZeroBitCount
            guard number < Int(CLL_ENTRIES) else { return none }
            state.taken |= 1 << UInt32(number)
            state.giveBack[number] = giveBack
            return UInt(number)
        }
    }

    /// The object of this number goes. Nobody reads it any more.
    static func release(_ number: UInt) {
        guard number != none else { return }
        let old = state.withLock { state in
            var next = state.firstThread
            while let thread = unsafe UnsafeMutablePointer<cll_thread>(bitPattern: next) {
                unsafe entry(number, of: thread).initialize(to: cll_entry())
                next = unsafe UInt(bitPattern: thread.pointee.next)
            }
            state.taken &= ~(1 << UInt32(number))
            let old = state.giveBack[Int(number)]
            state.giveBack[Int(number)] = { _ in }
            return old
        }
        // What the closure holds is let go outside the lock.
        withExtendedLifetime(old) {}
    }

    /// Whether the calling thread can have no entries. Once so, always so: a read inside a read is found the same way.
    static var isRefused: Bool { unsafe cll_current_thread().pointee.unlistable }

    /// Keeps `slot` for the calling thread until it ends.
    ///
    /// - Returns: `false` when the thread's end would go unnoticed. What is kept for it would then be looked at after
    ///   its memory is gone: so nothing is kept, and the thread reads through a slot for one read.
    static func keep(_ slot: UnsafeMutableRawPointer, for number: UInt) -> Bool {
        let thread = unsafe cll_current_thread()
        // Before the thread is listed, and so also before the first of its slots is kept.
        guard unsafe !thread.pointee.unlistable, cll_at_thread_exit({ ThreadEntries.threadEnds() }) else {
            unsafe thread.pointee.unlistable = true
            return false
        }
        state.withLock { state in
            if unsafe !thread.pointee.listed {
                unsafe thread.pointee.listed = true
                let first = unsafe UnsafeMutablePointer<cll_thread>(bitPattern: state.firstThread)
                unsafe thread.pointee.next = first
                unsafe thread.pointee.previous = nil
                unsafe first?.pointee.previous = thread
                state.firstThread = UInt(bitPattern: thread)
            }
            unsafe entry(number, of: thread).pointee.slot = slot
        }
        return true
    }

    private static func threadEnds() {
        let thread = unsafe cll_current_thread()
        // What the thread reads from here on, in destructors of thread-local values, may come after the last time that
        // anybody is told of its end.
        unsafe thread.pointee.unlistable = true
        state.withLock { state in
            guard unsafe thread.pointee.listed else { return }
            unsafe thread.pointee.listed = false
            let next = unsafe thread.pointee.next
            let previous = unsafe thread.pointee.previous
            unsafe next?.pointee.previous = previous
            if let previous = unsafe previous {
                unsafe previous.pointee.next = next
            } else {
                state.firstThread = UInt(bitPattern: next)
            }
            for number in 1..<UInt(CLL_ENTRIES) {
                if let slot = unsafe entry(number, of: thread).pointee.slot {
                    state.giveBack[Int(number)](UInt(bitPattern: slot))
                }
                unsafe entry(number, of: thread).initialize(to: cll_entry())
            }
        }
    }

    private static func entry(
        _ number: UInt,
        of thread: UnsafeMutablePointer<cll_thread>
    ) -> UnsafeMutablePointer<cll_entry> {
        // SAFETY: a C array is imported as a tuple, which lies as the array does; the number is below its length.
        unsafe UnsafeMutableRawPointer(thread).assumingMemoryBound(to: cll_entry.self) + Int(number)
    }
}
