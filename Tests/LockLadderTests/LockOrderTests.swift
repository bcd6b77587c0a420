import Glibc
import Testing

@testable import LockLadder

#if DEBUG
    /// The check of lock order, which only debug builds have.
    @Suite struct LockOrderTests {
        private func inversions(naming name: String) -> [LockOrder.Inversion] {
            LockOrder.inversions.filter { $0.steps.contains { $0.held == name } }
        }

        @Test func findsTwoLocksTakenInOppositeOrders() throws {
            let first = Mutex("test.order.first", 0)
            let second = Mutex("test.order.second", 0)
            first.withLock(fileID: "Scene/A.swift", line: 1) { _ in
                second.withLock(fileID: "Scene/A.swift", line: 2) { _ in }
            }
            #expect(inversions(naming: "test.order.first") == [])
            // Nobody else is there: what is found is not that somebody waits, but that somebody could.
            second.withLock(fileID: "Scene/B.swift", line: 3) { _ in
                first.withLock(fileID: "Scene/B.swift", line: 4) { _ in }
            }
            let found = inversions(naming: "test.order.first")
            #expect(found.count == 1)
            #expect(
                try #require(found.first).description
                    == "lock order inversion: test.order.second (held at Scene/B.swift:3), then test.order.first "
                    + "(at Scene/B.swift:4); elsewhere test.order.first (held at Scene/A.swift:1), then "
                    + "test.order.second (at Scene/A.swift:2). Take them in one order everywhere, or one after the other"
            )
            // Told once, however often it happens.
            second.withLock { _ in first.withLock { _ in } }
            #expect(inversions(naming: "test.order.first").count == 1)
        }

        @Test func findsACircleOfThree() throws {
            let locks = Mutex("test.circle.a", 0)
            let others = Mutex("test.circle.b", 0)
            let third = RWLock("test.circle.c", 0)
            locks.withLock { _ in others.withLock { _ in } }
            others.withLock { _ in third.withReadLock { _ in } }
            #expect(inversions(naming: "test.circle.a") == [])
            third.withWriteLock { _ in locks.withLock { _ in } }
            let steps = try #require(inversions(naming: "test.circle.c").first).steps
            #expect(steps.map(\.held) == ["test.circle.c", "test.circle.a", "test.circle.b"])
            #expect(steps.map(\.taken) == ["test.circle.a", "test.circle.b", "test.circle.c"])
        }

        @Test func saysNothingOfOneOrder() {
            let outer = Mutex("test.straight.outer", 0)
            let middle = RWLock("test.straight.middle", 0)
            let inner = Mutex("test.straight.inner", 0)
            for _ in 0..<3 {
                outer.withLock { _ in middle.withReadLock { _ in inner.withLock { _ in } } }
                outer.withLock { _ in inner.withLock { _ in } }
                inner.withLock { _ in }
                middle.withWriteLock { _ in inner.withLock { _ in } }
            }
            #expect(LockOrder.inversions.filter { $0.steps.contains { $0.held.hasPrefix("test.straight.") } } == [])
        }

        @Test func forgetsWhatAThrowingBodyHeld() {
            struct Thrown: Error {}
            let outer = Mutex("test.thrown.outer", 0)
            let inner = Mutex("test.thrown.inner", 0)
            #expect(throws: Thrown.self) { try outer.withLock { _ in throw Thrown() } }
            inner.withLock { _ in }
            outer.withLock { _ in inner.withLock { _ in } }
            #expect(inversions(naming: "test.thrown.inner") == [])
        }

        @Test func endsTheProcessThatWouldWaitForItself() async {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let lock = Mutex("test.order.self", 0)
                lock.withLock(fileID: "Scene/Outer.swift", line: 5) { _ in
                    lock.withLock(fileID: "Scene/Inner.swift", line: 6) { _ in }
                }
            }
            let said = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
            #expect(said.contains("the lock test.order.self is taken at Scene/Inner.swift:6"))
            #expect(said.contains("holds it since Scene/Outer.swift:5"))
        }
    }
#endif
