import Foundation
import Synchronization
import Testing

/// The race of a flag and what it announces: an object is written with plain stores, then its address is stored. What
/// makes it safe is the order of that one store and of the load that finds it.
///
/// Such a race may never show on a given processor, so here it is the sanitizer that says whether there is one.
@Suite(.enabled(if: Linked.hasThreadSanitizer, "the thread sanitizer is what looks here"))
struct PublicationTests {
    private final class Message {
        var text = 0
    }

    /// One thread writes a message and publishes it, another reads it.
    private static func pass(releasing: Bool) {
        let published = Shared()
        let message = Message()
        let reader = Thread {
            var address: UInt = 0
            while address == 0 {
                address =
                    releasing
                    ? published.address.load(ordering: .acquiring) : published.address.load(ordering: .relaxed)
            }
            if let pointer = UnsafeRawPointer(bitPattern: address) {
                published.sum.add(Unmanaged<Message>.fromOpaque(pointer).takeUnretainedValue().text, ordering: .relaxed)
            }
            published.isDone.store(true, ordering: .releasing)
        }
        reader.start()
        message.text = 42
        let address = UInt(bitPattern: Unmanaged.passUnretained(message).toOpaque())
        if releasing {
            published.address.store(address, ordering: .releasing)
        } else {
            published.address.store(address, ordering: .relaxed)
        }
        while !published.isDone.load(ordering: .acquiring) { sched_yield() }
        withExtendedLifetime(message) {}
    }

    private final class Shared: Sendable {
        let address = Atomic<UInt>(0)
        let sum = Atomic<Int>(0)
        let isDone = Atomic<Bool>(false)
    }

    @Test func hasNoRaceWithReleaseAndAcquire() async {
        await #expect(processExitsWith: .success) { PublicationTests.pass(releasing: true) }
    }

    @Test func isARaceWithoutThem() async {
        // 66 is the sanitizer's own status.
        await #expect(processExitsWith: .exitCode(66)) { PublicationTests.pass(releasing: false) }
    }
}
