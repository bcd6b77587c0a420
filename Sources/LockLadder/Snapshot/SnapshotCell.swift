public import CLockLadder
public import Synchronization

/// Holds one immutable object that is replaced as a whole, and lends it to readers that never wait.
///
/// Use it for what is read all the time and changed now and then. The object must be immutable: replace it, never
/// edit it. Do not use it for what changes as often as it is read, or where a reader must keep a writer out.
///
/// Four ways to read, fastest first: a reader of one's own (``makeReader()``); ``withSnapshot(_:)``, which keeps the
/// reader in thread-local memory; a ``LoopReader``, for an event loop whose handlers may read inside reads; and
/// ``strongCopy()``, for those who must keep the object.
///
/// Reclamation is by *sticky hazard*: each reader has a slot in which it leaves the address of the object that it
/// used last. As long as the published address equals the one in its slot it needs no store at all. A publisher
/// swaps the address and looks through the slots: what no slot names it frees at once, what is named it retires, until
/// a later publication finds that no slot names it any more.
///
/// - Progress: reading is wait-free while nothing is published, lock-free otherwise (each retry means that another
///   publication went through); a thread's first read without a reader of its own takes a mutex, once. Publishing is
///   lock-free unless an object is retired: the list of these has a mutex, which no reader takes.
/// - Price: an idle reader keeps the one object alive that it used last, until it reads again or is parked. So at most
///   as many replaced objects live as there are readers.
/// - Memory order: publishing releases, reading acquires; a reader's announcement and its second look, like a
///   publisher's exchange and its scan, are sequentially consistent, on arm64 as on x86-64.
@safe
public final class SnapshotCell<Object: AnyObject & Sendable>: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: `current` and the slots are atomics at fixed addresses, freed in deinit; readers
    // hold the cell, so it outlives them.
    @usableFromInline let current: UnsafeMutablePointer<Atomic<UInt>>
    private let slots = SlotList<ReaderSlot>()
    /// The number under which threads keep their implicit readers.
    @usableFromInline let number: UInt
    private let retired: Mutex<[UInt]>
    /// How many are retired, for a look without the lock.
    private let keptForReaders = Atomic<Int>(0)

    /// - Parameter name: names the publishers' mutex in the contention figures.
    public init(_ name: StaticString, _ initial: Object) {
        // A line of its own: readers load this word all the time.
        let line = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 128)
        unsafe current = line.bindMemory(to: Atomic<UInt>.self, capacity: 1)
        unsafe current.initialize(to: Atomic(Self.retain(initial)))
        retired = Mutex(name, [])
        number = ThreadEntries.claim { address in
            // SAFETY: `keep` is given slots of this cell's only.
            unsafe UnsafeMutablePointer<ReaderSlot>(bitPattern: address)?.pointee.giveBack()
        }
    }

    deinit {
        ThreadEntries.release(number)
        Self.release(unsafe current.pointee.load(ordering: .acquiring))
        for address in retired.withLock({ $0 }) { Self.release(address) }
        unsafe current.deinitialize(count: 1)
        unsafe UnsafeMutableRawPointer(current).deallocate()
    }

    private static func retain(_ object: Object) -> UInt {
        unsafe UInt(bitPattern: Unmanaged.passRetained(object).toOpaque())
    }

    private static func release(_ address: UInt) {
        guard let pointer = unsafe UnsafeRawPointer(bitPattern: address) else { return }
        unsafe Unmanaged<Object>.fromOpaque(pointer).release()
    }

    /// Replaces the object. Readers see the new one from their next read on.
    public func publish(
        _ object: consuming Object,
        fileID: StaticString = #fileID,
        line: UInt = #line,
        function: StaticString = #function
    ) {
        let address = Self.retain(object)
        // Sequentially consistent, like the look through the slots and a reader's store-then-load: either the reader's
        // slot is seen to name the old object, or the reader's second load sees this exchange and it tries again.
        let old = unsafe current.pointee.exchange(address, ordering: .sequentiallyConsistent)
        // Relaxed: what another publisher retires meanwhile waits for the next publication.
        if keptForReaders.load(ordering: .relaxed) == 0, !slots.names(old) {
            // Nobody can begin to use it any more. Should it be retired or published once more, then with a retain of
            // its own.
            return Self.release(old)
        }
        let unused = retired.withLock(fileID: fileID, line: line, function: function) { retired -> Unused in
            var unused = Unused()
            // Published more than once, it is retained more than once: in the list it stands once only.
            if retired.contains(old) { unused.append(old) } else { retired.append(old) }
            self.moveUnused(from: &retired, to: &unused)
            return unused
        }
        unused.forEach(Self.release)
    }

    /// Frees retired objects that no reader uses any more. Publishing does so too; call this when readers have moved
    /// on and nothing new is about to be published.
    public func reclaim() {
        let unused = retired.withLock { retired in
            var unused = Unused()
            self.moveUnused(from: &retired, to: &unused)
            return unused
        }
        unused.forEach(Self.release)
    }

    /// References to be let go outside the lock: an object's deinit is somebody else's code. Mostly there is one, for
    /// which nothing is allocated.
    private struct Unused {
        private var first: UInt = 0
        private var others: [UInt] = []

        mutating func append(_ address: UInt) {
            if first == 0 { first = address } else { others.append(address) }
        }

        func forEach(_ body: (UInt) -> Void) {
            if first != 0 { body(first) }
            for address in others { body(address) }
        }
    }

    /// Takes those that no slot names out of the list. Looks at each slot once, as its line is its reader's.
    private func moveUnused(from retired: inout [UInt], to unused: inout Unused) {
        var used = 0
        slots.forEachHazard { hazard in
            guard let index = retired[used...].firstIndex(of: hazard) else { return }
            retired.swapAt(index, used)
            used += 1
        }
        while retired.count > used { unused.append(retired.removeLast()) }
        // Relaxed: see publish.
        keptForReaders.store(used, ordering: .relaxed)
    }

    /// Objects replaced but still kept for a reader.
    public var retiredCount: Int { retired.withLock { $0.count } }

    /// Makes a reader. Readers may come and go on any thread; each is used by one thread at a time.
    public func makeReader() -> SnapshotReader<Object> { unsafe SnapshotReader(self, slot: slots.claim()) }

    /// Lends out the newest object, on any thread and without a handle: the thread's own reader is kept for it.
    ///
    /// A read inside a read of the same cell sees the object of the outer one, whatever is published meanwhile. The
    /// thread keeps the object alive that it used last: see ``park()``. A process has room for some thirty cells and
    /// locks that are read so; beyond, and where the process has no key left for thread-local values, each read makes a
    /// reader and drops it, and an inner read may see a newer object.
    @inlinable
    @inline(__always)
    public func withSnapshot<Value, Failure: Error>(
        _ body: (borrowing Object) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let entry = unsafe cll_entry_at(number)
        guard unsafe entry.pointee.depth == 0 else { return unsafe try withSnapshotInside(entry, body) }
        // Acquiring: the object behind the address is seen as it was published.
        var address = unsafe current.pointee.load(ordering: .acquiring)
        if unsafe address != entry.pointee.held {
            address = announce(address)
            if address == 0 { return try withReaderOfItsOwn(body) }
        }
        // Numbers written down, and not one more and one less than what was there: so no read waits for the store of the
        // one before it.
        unsafe entry.pointee.depth = 1
        defer { unsafe entry.pointee.depth = 0 }
        return try withBorrowed(address, body)
    }

    /// A read inside another of the same thread.
    @usableFromInline
    @inline(never)
    func withSnapshotInside<Value, Failure: Error>(
        _ entry: UnsafeMutablePointer<cll_entry>,
        _ body: (borrowing Object) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        unsafe entry.pointee.depth &+= 1
        defer { unsafe entry.pointee.depth &-= 1 }
        return try withBorrowed(unsafe entry.pointee.held, body)
    }

    @usableFromInline
    @inline(never)
    func withReaderOfItsOwn<Value, Failure: Error>(
        _ body: (borrowing Object) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        var reader = makeReader()
        return try reader.withSnapshot(body)
    }

    /// Announces the newest object as the one that this thread uses.
    ///
    /// - Returns: its address; 0 when nothing is kept for this cell, as for ``ThreadEntries/none``, whose entry stays
    ///   empty, or can be kept for this thread.
    @usableFromInline
    @inline(never)
    func announce(_ newest: UInt) -> UInt {
        if number == ThreadEntries.none || ThreadEntries.isRefused { return 0 }
        let entry = unsafe cll_entry_at(number)
        if unsafe entry.pointee.slot == nil {
            let slot = unsafe slots.claim()
            guard unsafe ThreadEntries.keep(slot, for: number) else {
                unsafe slot.pointee.giveBack()
                return 0
            }
        }
        guard let slot = unsafe entry.pointee.slot else { return 0 }
        // SAFETY: the entry's slot is one of this cell's.
        let own = unsafe slot.assumingMemoryBound(to: ReaderSlot.self)
        let address = unsafe protect(newest, of: current, in: own)
        unsafe entry.pointee.held = address
        return address
    }

    /// The newest object, retained: for those who must keep it. Threads that do this often share a reference count.
    @inlinable
    public func strongCopy() -> Object { withSnapshot { copy $0 } }

    /// Lets go of the object that the calling thread used last with ``withSnapshot(_:)``, before a long pause. Does
    /// nothing inside a read.
    public func park() {
        let entry = unsafe cll_entry_at(number)
        guard number != 0, unsafe entry.pointee.depth == 0, let slot = unsafe entry.pointee.slot else { return }
        unsafe slot.assumingMemoryBound(to: ReaderSlot.self).pointee.giveUp()
        unsafe entry.pointee.held = 0
    }
}
