public import Synchronization

/// One reader's line of memory: 128 bytes, so that readers never share a line, nor one that is fetched with another's.
@usableFromInline
struct ReaderSlot: ~Copyable {
    /// The address of the object that the reader may be using; 0 for none.
    let hazard = Atomic<UInt>(0)
    let isTaken = Atomic<Bool>(true)
    var next: UInt

    init(next: UInt) { self.next = next }

    /// The reader uses nothing any more.
    func giveUp() {
        // Sequentially consistent, as all stores to a hazard: what was read before is done before it is let go.
        hazard.store(0, ordering: .sequentiallyConsistent)
    }

    /// The reader is gone.
    func giveBack() {
        giveUp()
        // Releasing: the next owner of the slot finds it empty.
        isTaken.store(false, ordering: .releasing)
    }
}

/// Announces in `slot` the object that is about to be used, until the announcement came in time.
///
/// Not generic and not inlined: the slow half of every read.
@usableFromInline
@inline(never)
func protect(
    _ first: UInt,
    of current: UnsafeMutablePointer<Atomic<UInt>>,
    in slot: UnsafeMutablePointer<ReaderSlot>
) -> UInt {
    var address = first
    while true {
        // Store, then load, both sequentially consistent: a publisher that swapped in between either sees the
        // hazard in its scan or is seen here. An object that a slot names is not freed, so its address cannot come
        // back as another object.
        unsafe slot.pointee.hazard.store(address, ordering: .sequentiallyConsistent)
        let newest = unsafe current.pointee.load(ordering: .sequentiallyConsistent)
        if newest == address { return address }
        address = newest
    }
}

/// The slots of one cell's readers: they are reused, and never freed before the cell, so their number is the most
/// readers that ever lived at once.
@safe
final class SlotList: Sendable {
    private let newest = Atomic<UInt>(0)

    deinit {
        var next = newest.load(ordering: .acquiring)
        while let slot = unsafe UnsafeMutablePointer<ReaderSlot>(bitPattern: next) {
            next = unsafe slot.pointee.next
            unsafe slot.deinitialize(count: 1)
            unsafe UnsafeMutableRawPointer(slot).deallocate()
        }
    }

    /// Whether a reader may be using the object at this address.
    func names(_ address: UInt) -> Bool {
        // Sequentially consistent, like the link of a new slot and the exchange in publish: were it only acquiring, it
        // could be done ahead of that exchange and miss the slot of a reader that still sees the old object.
        var next = newest.load(ordering: .sequentiallyConsistent)
        while let slot = unsafe UnsafeMutablePointer<ReaderSlot>(bitPattern: next) {
            // Sequentially consistent: see publish. It also orders a departed reader's accesses before the release.
            if unsafe slot.pointee.hazard.load(ordering: .sequentiallyConsistent) == address { return true }
            next = unsafe slot.pointee.next
        }
        return false
    }

    /// A free slot, or a new one.
    func claim() -> UnsafeMutablePointer<ReaderSlot> {
        var next = newest.load(ordering: .acquiring)
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
        var head = newest.load(ordering: .acquiring)
        unsafe slot.initialize(to: ReaderSlot(next: head))
        while true {
            // Sequentially consistent: the slot is in the list before its reader's first hazard is stored, in the
            // one order that publishers scan by.
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
