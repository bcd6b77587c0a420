internal import Synchronization

/// All instrumented locks of the process, and the one observer that is told of contention.
///
/// A lock registers itself when it is made and leaves when it is destroyed. Enumerating copies a list: no lock's
/// user is stopped for it.
public final class ContentionRegistry: Sendable {
    public static let shared = ContentionRegistry()

    private let probes: Mutex<[LockProbe]>
    /// The address of the installed ``Observer``, never freed once set.
    private let observer = Atomic<UInt>(0)

    private final class Observer: Sendable {
        let lockWaited: @Sendable (ContentionRecord) -> Void
        init(_ lockWaited: @escaping @Sendable (ContentionRecord) -> Void) { self.lockWaited = lockWaited }
    }

    // The registry's own lock is made without a registry: there is none yet.
    private init() { probes = Mutex("contention.registry", [], registry: nil) }

    func enter(_ probe: LockProbe) {
        guard Accounting.isCompiledIn else { return }
        probes.withLock { probes in
            unsafe probe.place = probes.count
            probes.append(probe)
        }
    }

    func leave(_ probe: LockProbe) {
        guard Accounting.isCompiledIn else { return }
        let gone = probes.withLock { probes -> LockProbe? in
            let place = unsafe probe.place
            guard place < probes.count, probes[place] === probe else { return nil }
            return probes.swapRemove(at: place) { unsafe $0.place = $1 }
        }
        // Freed here, outside the lock.
        _ = gone
    }

    /// The probes of all locks that exist now; none where accounting is not compiled in.
    public var all: [LockProbe] { [probes.probe] + probes.withLock { $0 } }

    /// Installs what is called after each acquisition for which a thread slept. May be called once; later calls
    /// change nothing and return `false`.
    ///
    /// `lockWaited` runs on the thread that waited, after it has released the lock. It must not wait and must not
    /// take instrumented locks.
    @discardableResult
    public func observe(_ lockWaited: @escaping @Sendable (ContentionRecord) -> Void) -> Bool {
        let retained = unsafe Unmanaged.passRetained(Observer(lockWaited))
        let address = unsafe UInt(bitPattern: retained.toOpaque())
        // Releasing: whoever loads the address sees the closure behind it.
        let won = observer.compareExchange(
            expected: 0,
            desired: address,
            successOrdering: .releasing,
            failureOrdering: .relaxed
        ).exchanged
        if !won { unsafe retained.release() }
        return won
    }

    func report(_ record: ContentionRecord) {
        // Acquiring: pairs with the release in `observe`.
        guard let address = unsafe UnsafeRawPointer(bitPattern: observer.load(ordering: .acquiring)) else { return }
        // SAFETY: an installed observer is retained for good.
        unsafe Unmanaged<Observer>.fromOpaque(address).takeUnretainedValue().lockWaited(record)
    }
}

extension Array {
    /// Removes an element without moving those behind it: the last one takes its place, and `moved` is told which.
    fileprivate mutating func swapRemove(at index: Int, moved: (Element, Int) -> Void) -> Element {
        swapAt(index, count - 1)
        let gone = removeLast()
        if index < count { moved(self[index], index) }
        return gone
    }
}
