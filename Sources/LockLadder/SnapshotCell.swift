internal import CLockLadder
public import Synchronization

/// Holds one immutable object that is replaced as a whole, and lends it to readers that never wait.
///
/// Use it for what is read all the time and changed now and then. The object must be immutable: replace it, never
/// edit it.
///
/// Reclamation is by *sticky hazard*: each reader has a slot in which it leaves the address of the object that it
/// used last. As long as the published address equals the one in its slot it needs no store at all. A publisher
/// swaps the address, looks through the slots, and frees those retired objects that no slot names.
///
/// - Progress: reading is wait-free while nothing is published, lock-free otherwise (each retry means that another
///   publication went through). Publishing takes a mutex against other publishers only.
/// - Price: an idle reader keeps the one object alive that it used last, until it reads again or is parked.
@safe
public final class SnapshotCell<Object: AnyObject & Sendable>: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: `current` and the slots are atomics at fixed addresses, freed in deinit; readers
    // hold the cell, so it outlives them.
    @usableFromInline let current: UnsafeMutablePointer<Atomic<UInt>>
    private let newestSlot = Atomic<UInt>(0)
    private let retired: Mutex<[UInt]>

    /// - Parameter name: names the publishers' mutex in the contention figures.
    public init(_ name: StaticString, _ initial: Object) {
        // A line of its own: readers load this word all the time.
        let line = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 128)
        unsafe current = line.bindMemory(to: Atomic<UInt>.self, capacity: 1)
        unsafe current.initialize(to: Atomic(Self.retain(initial)))
        retired = Mutex(name, [])
    }

    deinit {
        Self.release(unsafe current.pointee.load(ordering: .acquiring))
        for address in retired.withLock({ $0 }) { Self.release(address) }
        unsafe current.deinitialize(count: 1)
        unsafe UnsafeMutableRawPointer(current).deallocate()
        var next = newestSlot.load(ordering: .acquiring)
        while let slot = unsafe UnsafeMutablePointer<ReaderSlot>(bitPattern: next) {
            next = unsafe slot.pointee.next
            unsafe slot.deinitialize(count: 1)
            unsafe UnsafeMutableRawPointer(slot).deallocate()
        }
    }

    private static func retain(_ object: Object) -> UInt {
        unsafe UInt(bitPattern: Unmanaged.passRetained(object).toOpaque())
    }

    private static func release(_ address: UInt) {
        guard let pointer = unsafe UnsafeRawPointer(bitPattern: address) else { return }
        unsafe Unmanaged<Object>.fromOpaque(pointer).release()
    }

    /// Replaces the object. Readers see the new one from their next read on.
    public func publish(_ object: Object) {
        let address = Self.retain(object)
        retire { retired in
            // Sequentially consistent, like the scan below and a reader's store-then-load: either the reader's slot
            // is seen in the scan, or the reader's second load sees this exchange and it tries again.
            retired.append(unsafe self.current.pointee.exchange(address, ordering: .sequentiallyConsistent))
        }
    }

    /// Frees retired objects that no reader uses any more. Publishing does so too; call this when readers have moved
    /// on and nothing new is about to be published.
    public func reclaim() { retire { _ in } }

    private func retire(_ change: (inout [UInt]) -> Void) {
        let unused = retired.withLock { retired -> [UInt] in
            change(&retired)
            let split = retired.partition { !self.isHazardous($0) }
            let unused = Array(retired[split...])
            retired.removeSubrange(split...)
            return unused
        }
        // Outside the lock: the object's deinit is somebody else's code.
        for address in unused { Self.release(address) }
    }

    private func isHazardous(_ address: UInt) -> Bool {
        // Sequentially consistent, like the link of a new slot and the exchange in publish: were it only acquiring, it
        // could be done ahead of that exchange and miss the slot of a reader that still sees the old object.
        var next = newestSlot.load(ordering: .sequentiallyConsistent)
        while let slot = unsafe UnsafeMutablePointer<ReaderSlot>(bitPattern: next) {
            // Sequentially consistent: see publish. It also orders a departed reader's accesses before the release.
            if unsafe slot.pointee.hazard.load(ordering: .sequentiallyConsistent) == address { return true }
            next = unsafe slot.pointee.next
        }
        return false
    }

    /// Objects replaced but still kept for a reader.
    public var retiredCount: Int { retired.withLock { $0.count } }

    /// Makes a reader. Readers may come and go on any thread; each is used by one thread at a time.
    public func makeReader() -> SnapshotReader<Object> { unsafe SnapshotReader(self, slot: claimSlot()) }

    /// A free slot, or a new one. Slots are never freed before the cell, so their number is the most readers that
    /// ever lived at once.
    func claimSlot() -> UnsafeMutablePointer<ReaderSlot> {
        var next = newestSlot.load(ordering: .acquiring)
        while let slot = unsafe UnsafeMutablePointer<ReaderSlot>(bitPattern: next) {
            // Acquiring: pairs with the release of the reader that gave the slot back.
            let claim = unsafe slot.pointee.isTaken.compareExchange(
                expected: false,
                desired: true,
                successOrdering: .acquiring,
                failureOrdering: .relaxed
            )
            if claim.exchanged { return unsafe slot }
            next = unsafe slot.pointee.next
        }
        let raw = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 128)
        let slot = unsafe raw.bindMemory(to: ReaderSlot.self, capacity: 1)
        var head = newestSlot.load(ordering: .acquiring)
        unsafe slot.initialize(to: ReaderSlot(next: head))
        while true {
            // Sequentially consistent: the slot is in the list before its reader's first hazard is stored, in the
            // one order that publishers scan by.
            let link = newestSlot.compareExchange(
                expected: head,
                desired: UInt(bitPattern: slot),
                ordering: .sequentiallyConsistent
            )
            if link.exchanged { return unsafe slot }
            head = link.original
            unsafe slot.pointee.next = head
        }
    }
}

/// One reader's line of memory: 128 bytes, so that readers never share a line.
@usableFromInline
struct ReaderSlot: ~Copyable {
    /// The address of the object that the reader may be using; 0 for none.
    let hazard = Atomic<UInt>(0)
    let isTaken = Atomic<Bool>(true)
    var next: UInt
}
