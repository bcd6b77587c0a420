import Glibc
import Synchronization
import Testing

/// A copy of the read-write lock's protocol, with a switch for each way of getting it wrong. The checks that pass the
/// lock must fail every one of them.
private final class CopyOfTheLock: Sendable {
    enum Fault: String, CaseIterable, Sendable, Codable {
        case none
        /// The writer does not look who is inside.
        case slotsNotScanned
        /// Readers do not say that they are inside.
        case readersDoNotAnnounce
        /// Readers do not look whether a writer is.
        case gateNotLookedAt
        /// A reader looks at the gate first and announces itself afterwards.
        case lookedBeforeAnnounced
        /// The gate stays closed for readers only, not for writers.
        case writersNotExcluded
    }

    /// Arrays hold no atomics, so each has an object of its own.
    private final class Slot: Sendable {
        let isReading = Atomic<Bool>(false)
    }

    private let fault: Fault
    private let ledger = Ledger()
    private let gate = Atomic<Bool>(false)
    private let writer = Atomic<Bool>(false)
    private let slots: [Slot]

    init(readers: Int, fault: Fault) {
        self.fault = fault
        slots = (0..<readers).map { _ in Slot() }
    }

    func read(slot: Int, _ body: (Ledger) -> Void) {
        let own = slots[slot]
        while true {
            if fault == .lookedBeforeAnnounced {
                _ = eventually { !gate.load(ordering: .sequentiallyConsistent) }
                sched_yield()
            }
            if fault != .readersDoNotAnnounce { own.isReading.store(true, ordering: .sequentiallyConsistent) }
            if fault == .gateNotLookedAt || fault == .lookedBeforeAnnounced { break }
            if !gate.load(ordering: .sequentiallyConsistent) { break }
            own.isReading.store(false, ordering: .sequentiallyConsistent)
            _ = eventually { !gate.load(ordering: .sequentiallyConsistent) }
        }
        body(ledger)
        own.isReading.store(false, ordering: .sequentiallyConsistent)
    }

    func write(_ body: (Ledger) -> Void) {
        if fault != .writersNotExcluded {
            _ = eventually { !writer.exchange(true, ordering: .sequentiallyConsistent) }
        }
        gate.store(true, ordering: .sequentiallyConsistent)
        if fault != .slotsNotScanned {
            for slot in slots { _ = eventually { !slot.isReading.load(ordering: .sequentiallyConsistent) } }
        }
        body(ledger)
        gate.store(false, ordering: .sequentiallyConsistent)
        writer.store(false, ordering: .sequentiallyConsistent)
    }
}

@Suite struct RWLockControlTests {
    /// The stress test of the lock, run on a copy: 3 when it found something.
    private static func stress(_ fault: CopyOfTheLock.Fault) -> Int32 {
        let copy = CopyOfTheLock(readers: 5, fault: fault)
        let slots = Count()
        let sharing = Sharing(
            makeReading: {
                let slot = slots.add(1) - 1
                return { body in copy.read(slot: slot, body) }
            },
            write: { body in copy.write(body) }
        )
        guard let shares = try? readWhileWriting(sharing, writes: 2_000) else { return 4 }
        return shares.findings.isEmpty ? 0 : 3
    }

    @Test func passesTheCopyWithoutFault() {
        #expect(Self.stress(.none) == 0)
    }

    /// In a process of its own: under the thread sanitizer the fault is a race as well, which is the better finding. It
    /// then ends with the sanitizer's 66.
    @Test func catchesEveryFaultUnderLoad() async {
        let results = [
            await #expect(processExitsWith: .failure) { exit(RWLockControlTests.stress(.slotsNotScanned)) },
            await #expect(processExitsWith: .failure) { exit(RWLockControlTests.stress(.readersDoNotAnnounce)) },
            await #expect(processExitsWith: .failure) { exit(RWLockControlTests.stress(.gateNotLookedAt)) },
            await #expect(processExitsWith: .failure) { exit(RWLockControlTests.stress(.lookedBeforeAnnounced)) },
            await #expect(processExitsWith: .failure) { exit(RWLockControlTests.stress(.writersNotExcluded)) },
        ]
        for result in results {
            let status = result?.exitStatus
            #expect(status == .exitCode(3) || Linked.hasThreadSanitizer && status == .exitCode(66))
        }
    }
}
