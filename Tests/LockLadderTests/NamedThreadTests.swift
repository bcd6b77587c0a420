import LockLadder
import Testing

@Suite struct NamedThreadTests {
    private func soon() -> MonotonicTime { MonotonicTime.now.advanced(byNanoseconds: patience) }

    /// What `ps -L` shows, and what pthread_getname_np reads.
    private static func nameOfThisThread() -> String {
        String(Kernel.read("/proc/self/task/\(CurrentThread.id)/comm").dropLast())
    }

    @Test(arguments: [
        ("agent-fetch", "agent-fetch"), ("fifteen-bytes-x", "fifteen-bytes-x"),
        ("sixteen-bytes-xy", "sixteen-bytes-x"), ("", ""),
    ])
    func bearsItsName(name: String, kept: String) throws {
        let seen = Plain<String?>(nil)
        let thread = try #require(
            NamedThread(name) {
                let name = Self.nameOfThisThread()
                seen.change { $0 = name }
            }
        )
        #expect(thread.join(until: soon()))
        #expect(seen.now == kept)
    }

    @Test func runsOnAThreadOfItsOwn() throws {
        let seen = Plain<UInt32?>(nil)
        let thread = try #require(NamedThread("test-own") { seen.change { $0 = CurrentThread.id } })
        #expect(thread.join(until: soon()))
        #expect(seen.now != nil && seen.now != CurrentThread.id)
    }

    /// The body writes, the joiner reads, nothing else orders the two.
    private final class Note: @unchecked Sendable {
        var text = ""
    }

    @Test func showsTheJoinerWhatTheBodyWrote() throws {
        for round in 0..<200 {
            let note = Note()
            let text = "round \(round), written by another thread"
            let thread = try #require(NamedThread("test-note") { note.text = text })
            #expect(thread.join(until: soon()))
            #expect(note.text == text)
        }
    }

    @Test func isNotJoinedWhileItsBodyRuns() throws {
        let gate = WakeSignal()
        let thread = try #require(NamedThread("test-blocked") { _ = gate.wait(until: nil) })
        #expect(!thread.join(until: MonotonicTime.now))
        #expect(!thread.join(until: MonotonicTime.now.advanced(byNanoseconds: 2_000_000)))
        gate.raise()
        #expect(thread.join(until: soon()))
    }

    @Test func goesOnByItselfWhenNobodyHoldsIt() {
        let live = LooseCount()
        let gate = WakeSignal()
        do {
            let kept = Counted(1, in: live)
            let thread = NamedThread("test-alone") {
                _ = gate.wait(until: nil)
                withExtendedLifetime(kept) {}
            }
            #expect(thread != nil)
        }
        #expect(live.now == 1)
        gate.raise()
        // What the body holds is freed soon after it.
        #expect(eventually { live.now == 0 })
    }
}
