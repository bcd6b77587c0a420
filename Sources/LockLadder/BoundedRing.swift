internal import Synchronization

/// A queue of fixed size and fixed memory: many threads put in, one takes out, nobody waits. When it is full the
/// newest element is refused.
///
/// Vyukov's bounded queue: each cell carries a sequence number that tells whose turn it is. A producer that is
/// stopped between claiming and filling a cell holds up the consumer at that cell, never another producer.
@safe
public final class BoundedRing<Element: Sendable>: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: a cell's element is touched only by the thread whose turn its sequence says. The
    // two lie apart: to change a field through a pointer is, to Swift, to change the whole value that it points to,
    // and a sequence is read by others meanwhile.
    private let sequences: UnsafeMutablePointer<Atomic<UInt>>
    private let elements: UnsafeMutablePointer<Element?>
    private let mask: UInt
    private let tail = Atomic<UInt>(0)
    /// Moved by the one consumer only.
    private let head = Atomic<UInt>(0)

    /// - Parameter capacity: rounded up to a power of two.
    public init(capacity: Int) {
        var size = 2
        while size < capacity { size *= 2 }
        mask = UInt(size - 1)
        unsafe sequences = .allocate(capacity: size)
        unsafe elements = .allocate(capacity: size)
        for index in 0..<size {
            unsafe (sequences + index).initialize(to: Atomic(UInt(index)))
            unsafe (elements + index).initialize(to: nil)
        }
    }

    deinit {
        unsafe sequences.deinitialize(count: Int(mask) + 1)
        unsafe sequences.deallocate()
        unsafe elements.deinitialize(count: Int(mask) + 1)
        unsafe elements.deallocate()
    }

    /// - Returns: `false` when the ring is full; `element` is then dropped.
    public func push(_ element: Element) -> Bool {
        var position = tail.load(ordering: .relaxed)
        while true {
            let cell = Int(position & mask)
            // Acquiring: the consumer is done with the cell before it is filled again.
            let sequence = unsafe sequences[cell].load(ordering: .acquiring)
            if sequence == position {
                // Relaxed: the claim orders nothing; the cell's sequence does.
                let claim = tail.compareExchange(expected: position, desired: position &+ 1, ordering: .relaxed)
                if claim.exchanged {
                    unsafe elements[cell] = element
                    // Releasing: the consumer sees the element before the new sequence.
                    unsafe sequences[cell].store(position &+ 1, ordering: .releasing)
                    return true
                }
                position = claim.original
            } else if Int(bitPattern: sequence &- position) < 0 {
                return false
            } else {
                position = tail.load(ordering: .relaxed)
            }
        }
    }

    /// Takes the oldest element. To be called by one thread at a time.
    public func pop() -> Element? {
        let position = head.load(ordering: .relaxed)
        let cell = Int(position & mask)
        // Acquiring: pairs with the release in `push`.
        guard unsafe sequences[cell].load(ordering: .acquiring) == position &+ 1 else { return nil }
        let element = unsafe elements[cell].take()
        // Releasing: a producer one round later finds the cell empty.
        unsafe sequences[cell].store(position &+ mask &+ 1, ordering: .releasing)
        head.store(position &+ 1, ordering: .relaxed)
        return element
    }
}
