import Glibc
import LockLadder
import Synchronization
import Testing

/// A copy of the snapshot cell's reclamation, with a switch for each way of getting it wrong. The checks that pass the
/// cell must fail every one of them.
///
/// Nothing is freed: an object that the copy would free is wiped, and kept until the test is over. So a wrong copy
/// reads what is wiped, never what is not there.
private final class CopyOfTheCell: Sendable {
    enum Fault: String, CaseIterable, Sendable, Codable {
        case none
        /// Retired objects are freed without a look at the readers.
        case scanSkipped
        /// A reader does not say what it uses.
        case hazardNotAnnounced
        /// A reader says what it uses, but does not look whether it came too late.
        case notLookedAgain
        /// A reader says what it uses only after its read has begun with an object that it used before.
        case slotGivenUpDuringTheRead
    }

    private let fault: Fault
    private let current: Atomic<Int>
    private let hazards: [Hazard]
    private let objects: Plain<[Versioned]>
    private let retired = Plain<[Int]>([])

    /// Arrays hold no atomics, so each has an object of its own.
    final class Hazard: Sendable {
        let address = Atomic<Int>(-1)
    }

    init(_ first: Versioned, readers: Int, fault: Fault) {
        self.fault = fault
        objects = Plain([first])
        current = Atomic(0)
        hazards = (0..<readers).map { _ in Hazard() }
    }

    func publish(_ object: Versioned) {
        let address = objects.change { objects -> Int in
            objects.append(object)
            return objects.count - 1
        }
        let unused = retired.change { [self] retired -> [Int] in
            retired.append(current.exchange(address, ordering: .sequentiallyConsistent))
            let inUse = fault == .scanSkipped ? [] : hazards.map { $0.address.load(ordering: .sequentiallyConsistent) }
            let unused = retired.filter { !inUse.contains($0) }
            retired.removeAll { !inUse.contains($0) }
            return unused
        }
        for address in unused { self.object(at: address).wipe() }
    }

    var retiredCount: Int { retired.now.count }

    private func object(at address: Int) -> Versioned { objects.change { $0[address] } }

    /// - Parameter between: called after the address was read and before it is announced.
    func read(slot: Int, between: () -> Void = {}, _ body: (borrowing Versioned) -> Void) {
        let hazard = hazards[slot]
        var address = current.load(ordering: .acquiring)
        between()
        while fault != .hazardNotAnnounced {
            hazard.address.store(address, ordering: .sequentiallyConsistent)
            let newest = current.load(ordering: .sequentiallyConsistent)
            if newest == address || fault == .notLookedAgain { break }
            address = newest
        }
        if fault == .slotGivenUpDuringTheRead { hazard.address.store(-1, ordering: .sequentiallyConsistent) }
        body(object(at: address))
    }
}

@Suite struct NegativeControlTests {
    /// One thread, the worst schedule: a publication before the announcement, and one during the read.
    @Test(arguments: CopyOfTheCell.Fault.allCases)
    private func catchesEveryFaultInTheWorstSchedule(fault: CopyOfTheCell.Fault) {
        let live = LooseCount()
        let copy = CopyOfTheCell(Versioned(1, in: live), readers: 1, fault: fault)
        var findings: [String] = []
        var watch = Watch()
        copy.read(slot: 0) {
            copy.publish(Versioned(2, in: live))
        } _: { object in
            copy.publish(Versioned(3, in: live))
            if let finding = watch.look(at: object) { findings.append(finding) }
        }
        #expect(findings.isEmpty == (fault == .none), "\(findings)")
    }

    /// The stress test of the cell, run on a copy in a process of its own: it ends with 3 when it found something.
    private static func stress(_ fault: CopyOfTheCell.Fault) -> Int32 {
        let live = LooseCount()
        let copy = CopyOfTheCell(Versioned(0, in: live), readers: 8, fault: fault)
        let slots = Count()
        let publication = Publication(
            makeReading: {
                let slot = slots.add(1) - 1
                return { body in copy.read(slot: slot, body) }
            },
            publish: { copy.publish($0) },
            retiredCount: { copy.retiredCount }
        )
        guard let traffic = try? readWhilePublishing(publication, publications: 2_000, live: live) else { return 4 }
        if traffic.findings.contains(where: { $0.contains("freed") }) { return 3 }
        return traffic.findings.isEmpty && traffic.mostRetired <= 8 + 3 ? 0 : 5
    }

    /// What a child ends with that found the fault. Under the thread sanitizer the wiping itself is a race with the
    /// reader, which is the better finding: it then ends with the sanitizer's 66.
    private func isCaught(_ status: ExitStatus?) -> Bool {
        status == .exitCode(3) || Linked.hasThreadSanitizer && status == .exitCode(66)
    }

    @Test func passesTheCopyWithoutFault() {
        #expect(Self.stress(.none) == 0)
    }

    @Test func catchesUnderLoadThatReadersAreNotLookedAt() async {
        let result = await #expect(processExitsWith: .failure) {
            exit(NegativeControlTests.stress(.scanSkipped))
        }
        #expect(isCaught(result?.exitStatus))
    }

    @Test func catchesUnderLoadThatReadersDoNotAnnounce() async {
        let result = await #expect(processExitsWith: .failure) {
            exit(NegativeControlTests.stress(.hazardNotAnnounced))
        }
        #expect(isCaught(result?.exitStatus))
    }
}
