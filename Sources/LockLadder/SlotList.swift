internal import Synchronization

/// What a ``SlotList`` needs to know of a reader's slot. No slot is larger than 128 bytes.
protocol ListedSlot: ~Copyable {
    init(next: UInt)
    /// The slot that was linked before this one. Written only before this one is linked.
    var next: UInt { get set }
    /// - Returns: whether the slot was free, and is the caller's now.
    func claim() -> Bool
}

/// Whether a slot has an owner.
struct SlotOwnership: ~Copyable {
    private let isTaken = Atomic<Bool>(true)

    func claim() -> Bool {
        // Acquiring: pairs with the release in `giveBack`.
        isTaken.compareExchange(
            expected: false,
            desired: true,
            successOrdering: .acquiring,
            failureOrdering: .relaxed
        ).exchanged
    }

    func giveBack() {
        // Releasing: the next owner finds the slot as this one left it.
        isTaken.store(false, ordering: .releasing)
    }
}

/// The slots of one object's readers, each 128 bytes for itself, as lines may be fetched in pairs. They are reused, and
/// never freed before the object, so their number is the most readers that ever lived at once.
@safe
final class SlotList<Slot: ListedSlot & ~Copyable>: Sendable {
    private let newest = Atomic<UInt>(0)

    deinit {
        // Acquiring: the slots are seen as they were linked.
        var next = newest.load(ordering: .acquiring)
        while let slot = unsafe UnsafeMutablePointer<Slot>(bitPattern: next) {
            next = unsafe slot.pointee.next
            unsafe slot.deinitialize(count: 1)
            unsafe UnsafeMutableRawPointer(slot).deallocate()
        }
    }

    /// What `look` finds in the first slot in which it finds anything.
    func firstFound<Found>(_ look: (borrowing Slot) -> Found?) -> Found? {
        // Sequentially consistent, like the link of a new slot: were it only acquiring, it could be done ahead of the
        // store that makes a publisher or a writer known, and miss the slot of a reader that has not seen that store.
        var next = newest.load(ordering: .sequentiallyConsistent)
        while let slot = unsafe UnsafeMutablePointer<Slot>(bitPattern: next) {
            if let found = unsafe look(slot.pointee) { return found }
            next = unsafe slot.pointee.next
        }
        return nil
    }

    /// A free slot, or a new one.
    func claim() -> UnsafeMutablePointer<Slot> {
        // Acquiring: as in deinit.
        var next = newest.load(ordering: .acquiring)
        while let slot = unsafe UnsafeMutablePointer<Slot>(bitPattern: next) {
            if unsafe slot.pointee.claim() { return unsafe slot }
            next = unsafe slot.pointee.next
        }
        return unsafe link()
    }

    private func link() -> UnsafeMutablePointer<Slot> {
        let raw = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 128)
        let slot = unsafe raw.bindMemory(to: Slot.self, capacity: 1)
        // Relaxed: a guess, which the exchange below verifies.
        var head = newest.load(ordering: .relaxed)
        unsafe slot.initialize(to: Slot(next: head))
        while true {
            // Sequentially consistent: the slot is in the list before its reader's first announcement, in the one
            // order that publishers and writers look by.
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
