public import Synchronization

/// One reader's line of memory: 128 bytes, so that readers never share a line, nor one that is fetched with another's.
@usableFromInline
struct ReaderSlot: ~Copyable, ListedSlot {
    /// The address of the object that the reader may be using; 0 for none.
    let hazard = Atomic<UInt>(0)
    private let ownership = SlotOwnership()
    var next: UInt

    init(next: UInt) { self.next = next }

    func claim() -> Bool { ownership.claim() }

    /// The reader uses nothing any more.
    func giveUp() {
        // Sequentially consistent, as all stores to a hazard: what was read before is done before it is let go.
        hazard.store(0, ordering: .sequentiallyConsistent)
    }

    /// The reader is gone.
    func giveBack() {
        giveUp()
        ownership.giveBack()
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

extension SlotList<ReaderSlot> {
    /// Whether a reader may be using the object at this address.
    func names(_ address: UInt) -> Bool {
        // Sequentially consistent: see publish. It also orders a departed reader's accesses before the release.
        firstFound { slot -> Void? in slot.hazard.load(ordering: .sequentiallyConsistent) == address ? () : nil } != nil
    }

    /// Goes through the addresses of the objects that readers may be using.
    func forEachHazard(_ body: (UInt) -> Void) {
        _ = firstFound { slot -> Never? in
            // Sequentially consistent: as in `names`.
            body(slot.hazard.load(ordering: .sequentiallyConsistent))
            return nil
        }
    }
}
