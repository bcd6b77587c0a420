public import Synchronization

/// One reader's line of memory, which nobody else writes: 128 bytes, for lines that are fetched in pairs.
@safe
@usableFromInline
struct ReadSlot: ~Copyable {
    /// Where the reader reads, as the word of a ``CallSite``; 0 while it does not.
    @usableFromInline let reading = Atomic<UInt>(0)
    /// How often it has read. Counted by the reader alone.
    @usableFromInline let reads = Atomic<UInt64>(0)
    /// The kernel's number of the thread whose read without an entry this is; 0 for none such.
    let owner = Atomic<UInt32>(0)
    let isTaken = Atomic<Bool>(true)
    var next: UInt
    /// What the reader has to tell once its read is over. Apart from the slot, which others look at meanwhile.
    let kept: UnsafeMutablePointer<ContentionRecord?>

    init(next: UInt) {
        self.next = next
        unsafe kept = .allocate(capacity: 1)
        unsafe kept.initialize(to: nil)
    }

    deinit {
        unsafe kept.deinitialize(count: 1)
        unsafe kept.deallocate()
    }

    func giveBack() {
        // Relaxed: matters to the owner alone.
        owner.store(0, ordering: .relaxed)
        // Releasing: the next owner finds the slot as this one left it.
        isTaken.store(false, ordering: .releasing)
    }
}

/// The slots of one lock's readers: reused, and never freed before the lock.
@safe
final class ReadSlots: Sendable {
    private let newest = Atomic<UInt>(0)

    deinit {
        var next = newest.load(ordering: .acquiring)
        while let slot = unsafe UnsafeMutablePointer<ReadSlot>(bitPattern: next) {
            next = unsafe slot.pointee.next
            unsafe slot.deinitialize(count: 1)
            unsafe UnsafeMutableRawPointer(slot).deallocate()
        }
    }

    /// Where somebody reads, if anybody does.
    func reader() -> CallSite? {
        // Sequentially consistent: a slot is linked before its first read is announced, and this look comes after the
        // writer closed its gate.
        var next = newest.load(ordering: .sequentiallyConsistent)
        while let slot = unsafe UnsafeMutablePointer<ReadSlot>(bitPattern: next) {
            // Acquiring: pairs with the release at the end of a read; what was read was read before what is written.
            let site = unsafe slot.pointee.reading.load(ordering: .acquiring)
            if site != 0 { return CallSite(word: site) }
            next = unsafe slot.pointee.next
        }
        return nil
    }

    /// Where this thread reads through a slot that it is the owner of.
    func site(ofReadBy thread: UInt32) -> CallSite? {
        var next = newest.load(ordering: .acquiring)
        while let slot = unsafe UnsafeMutablePointer<ReadSlot>(bitPattern: next) {
            // Relaxed, both: a thread sees its own stores, and the number of another is another.
            if unsafe slot.pointee.owner.load(ordering: .relaxed) == thread {
                return unsafe CallSite(word: slot.pointee.reading.load(ordering: .relaxed))
            }
            next = unsafe slot.pointee.next
        }
        return nil
    }

    var reads: UInt64 {
        var sum: UInt64 = 0
        var next = newest.load(ordering: .acquiring)
        while let slot = unsafe UnsafeMutablePointer<ReadSlot>(bitPattern: next) {
            // Relaxed: a figure.
            sum &+= unsafe slot.pointee.reads.load(ordering: .relaxed)
            next = unsafe slot.pointee.next
        }
        return sum
    }

    /// A free slot, or a new one.
    func claim() -> UnsafeMutablePointer<ReadSlot> {
        var next = newest.load(ordering: .acquiring)
        while let slot = unsafe UnsafeMutablePointer<ReadSlot>(bitPattern: next) {
            // Acquiring: pairs with the release in `giveBack`.
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
        let slot = unsafe raw.bindMemory(to: ReadSlot.self, capacity: 1)
        var head = newest.load(ordering: .acquiring)
        unsafe slot.initialize(to: ReadSlot(next: head))
        while true {
            // Sequentially consistent: see `reader`.
            let link = newest.compareExchange(
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
