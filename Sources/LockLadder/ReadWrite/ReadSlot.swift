public import Synchronization

/// One reader's line of memory, which nobody else writes: 128 bytes, for lines that are fetched in pairs.
@safe
@usableFromInline
struct ReadSlot: ~Copyable, ListedSlot {
    /// Where the reader reads, as the word of a ``CallSite``; 0 while it does not.
    @usableFromInline let reading = Atomic<UInt>(0)
    /// How often it has read. Counted by the reader alone.
    @usableFromInline let reads = Atomic<UInt64>(0)
    /// The kernel's number of the thread whose read without an entry this is; 0 for none such.
    let owner = Atomic<UInt32>(0)
    private let ownership = SlotOwnership()
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

    func claim() -> Bool { ownership.claim() }

    /// One read more, for readers that do not keep the count themselves.
    @inlinable
    @inline(__always)
    func countRead() {
        // Relaxed: counted by this reader alone.
        if Accounting.isCompiledIn { reads.store(reads.load(ordering: .relaxed) &+ 1, ordering: .relaxed) }
    }

    func giveBack() {
        // Relaxed: matters to the owner alone.
        owner.store(0, ordering: .relaxed)
        ownership.giveBack()
    }
}

extension SlotList<ReadSlot> {
    /// Where somebody reads, if anybody does.
    func reader() -> CallSite? {
        firstFound { slot in
            // Acquiring: pairs with the release at the end of a read; what was read was read before what is written.
            let site = slot.reading.load(ordering: .acquiring)
            return site == 0 ? nil : CallSite(word: site)
        }
    }

    /// Where this thread reads through a slot that it is the owner of.
    func site(ofReadBy thread: UInt32) -> CallSite? {
        firstFound { slot in
            // Relaxed, both: a thread sees its own stores, and the number of another is another.
            guard slot.owner.load(ordering: .relaxed) == thread else { return nil }
            return CallSite(word: slot.reading.load(ordering: .relaxed))
        }
    }

    var reads: UInt64 {
        var sum: UInt64 = 0
        _ = firstFound { slot -> Never? in
            // Relaxed: a figure.
            sum &+= slot.reads.load(ordering: .relaxed)
            return nil
        }
        return sum
    }
}
