import CLockLadder
import Testing

@testable import LockLadder

/// Moments of a flight that others hardly ever meet: each test has something happen just then.
@Suite struct FlightMomentTests {
    /// A caller is cancelled after it has looked, and before it has come in: it does not wait for the work, and where
    /// nobody else does, work that it has caused is cancelled.
    @Test func aCallerCancelledOnItsWayInIsAnsweredAtOnce() async {
        let gate = Gate()
        let ends = Count()
        let group = AsyncSingleFlight<Int, Int>(
            "test.moment.cancelled",
            negative: NegativePolicy(
                now: {
                    // Asked for before each call comes in.
                    withUnsafeCurrentTask { $0?.cancel() }
                    return .now
                },
                classify: { _ in nil }
            ),
            work: { key in
                defer { ends.add(1) }
                try await gate.pass()
                return key
            }
        )
        let answer = Plain<String?>(nil)
        let caller = Task {
            let told = await told { try await group.value(for: 1) }
            answer.change { $0 = told }
        }
        let limit = MonotonicTime.inMilliseconds(20_000)
        _ = await soon { answer.now != nil || .now > limit }
        #expect(answer.now == "cancelled", "the gate is closed still")
        #expect(await soon { ends.now == gate.arrivals.now || .now > limit }, "work goes on that nobody waits for")
        gate.open()
        await caller.value
    }

    #if DEBUG
        /// The deadline of a caller passes after its flight has landed, and before it is told: it takes the answer
        /// that is on its way.
        @Test func anAnswerOnItsWayIsWaitedForPastTheDeadline() throws {
            let gate = Gate()
            let scene = Scene()
            let isLanding = Count()
            let hasEnded = Count()
            nonisolated(unsafe) let whileTelling = CallWatch { call, _ in
                // The first caller has been told; the second one not yet.
                guard call == cll_call_wake, isLanding.add(1) == 1 else { return }
                scene.expect("the second one neither sleeps nor returns") { hasEnded.now == 1 || scene.sleeps(1) }
            }
            let group = ThreadSingleFlight<Int, Int>("test.moment") { key, _ in
                whileTelling.begin()
                gate.passOnThread()
                return key
            }
            let answers = Plain<[String]>(["", ""])
            try onThreads(2) { index in
                guard index == 1 else {
                    let answer = toldNow { try group.value(for: 7, until: .inMilliseconds(10 * 60_000)) }
                    return answers.change { $0[0] = answer }
                }
                scene.expect("nobody works") { gate.arrivals.now == 1 }
                scene.enter(1)
                // Again when the deadline passed before it slept.
                _ = eventually {
                    watchingCalls { call, result in
                        guard call == cll_call_wait, result == cll_deadline_passed.rawValue else { return }
                        gate.open()
                        scene.expect("it does not land") { isLanding.now > 0 }
                    } _: {
                        let answer = toldNow { try group.value(for: 7, until: .inMilliseconds(5)) }
                        answers.change { $0[1] = answer }
                    }
                    return gate.isOpen
                }
                hasEnded.set(1)
            }
            #expect(scene.findings.all == [])
            #expect(answers.now == ["7", "7"])
            #expect(eventually { group.threads == 0 })
            withExtendedLifetime(whileTelling) {}
        }
    #endif
}
