import Testing

@testable import LockLadder

/// Storms of callers that come, leave, are cancelled and run out of time; what flies is poisoned when it is freed.
@Suite struct FlightStressTests {
    /// What the work made, and when it began, by a counter that all share.
    private final class Parcel: Sendable {
        let key: Int
        let began: Int
        let content: Versioned

        init(key: Int, began: Int, in live: LooseCount) {
            self.key = key
            self.began = began
            content = Versioned(key, in: live)
        }
    }

    private struct Storm: Sendable {
        let clock = Count()
        let findings = Findings()
        let live = LooseCount()
        let answered = LooseCount()
        let failed = LooseCount()
        let cancelled = LooseCount()
        let late = LooseCount()
        let runs = LooseCount()

        func make(_ key: Int) -> Parcel {
            runs.add(1)
            return Parcel(key: key, began: clock.add(1), in: live)
        }

        /// Each call comes here once, with the time at which it was made.
        func note(_ answer: Result<Parcel, any Error>, key: Int, asked: Int, _ freshness: FlightFreshness) {
            switch answer {
            case .success(let parcel):
                answered.add(1)
                findings.expect(parcel.content.isWhole, "a value that was freed")
                findings.expect(parcel.key == key, "the value of another key")
                if freshness == .requestedAfterNow {
                    findings.expect(parcel.began > asked, "made before it was asked for")
                }
            case .failure(is CancellationError): cancelled.add(1)
            case .failure(SingleFlightError.deadlineExceeded): late.add(1)
            case .failure(Vain.broken): failed.add(1)
            case .failure(let error): findings.note("\(error)")
            }
        }

        func check(_ figures: FlightStatistics, calls: Int) {
            #expect(findings.all == [])
            #expect(answered.now + failed.now + cancelled.now + late.now == calls)
            #expect(figures.inFlight == 0)
            #expect(answered.now > 0 && failed.now > 0 && late.now > 0 && figures.folded > 0)
        }
    }

    @Test(arguments: [71, 72] as [UInt64], [FlightTask.groupsOwn, .callers])
    func answersEachTaskOnceWhateverTheStorm(seed: UInt64, task: FlightTask) async {
        let storm = Storm()
        let calls = 2_400
        let figures: FlightStatistics
        do {
            let group = AsyncSingleFlight<Int, Parcel>("test.storm.async", task: task) { key in
                let parcel = storm.make(key)
                // Some take their time, heedless of being cancelled.
                if parcel.began % 3 == 0 {
                    for _ in 0..<4 { await Task.yield() }
                } else {
                    try await Task.sleep(nanoseconds: UInt64(parcel.began % 5) * 200_000)
                }
                if parcel.began % 7 == 0 { throw Vain.broken }
                return parcel
            }
            for wave in 0..<4 {
                await withTaskGroup(of: Void.self) { tasks in
                    for index in 0..<(calls / 4) {
                        tasks.addTask {
                            var random = SplitMix(seed: seed << 32 | UInt64(wave << 16 | index))
                            // Crowds first; then keys that hardly anybody shares, so that many a flight is abandoned.
                            let key = Int.random(in: 0..<[3, 6, 150, 300][wave], using: &random)
                            let freshness: FlightFreshness = Bool.random(using: &random) ? .shared : .requestedAfterNow
                            let fate = Int.random(in: 0..<4, using: &random)
                            let pause = UInt64.random(in: 0..<1_500_000, using: &random)
                            let deadline = fate == 0 ? MonotonicTime.now.advanced(byNanoseconds: pause) : nil
                            let caller = Task {
                                let asked = storm.clock.add(1)
                                let answer: Result<Parcel, any Error>
                                do {
                                    answer = .success(try await group.value(for: key, freshness, until: deadline))
                                } catch {
                                    answer = .failure(error)
                                }
                                storm.note(answer, key: key, asked: asked, freshness)
                            }
                            if fate == 1 {
                                try? await Task.sleep(nanoseconds: pause)
                                caller.cancel()
                            }
                            await caller.value
                        }
                    }
                }
            }
            // Nobody waits any more, so nothing is on its way.
            figures = group.statistics
        }
        storm.check(figures, calls: calls)
        #expect(storm.cancelled.now > 0)
        #expect(figures.abandoned > 0)
        // What is cancelled with its caller is done anew.
        #expect(figures.flights >= UInt64(storm.runs.now) || task == .callers)
        #expect(await soon { storm.live.now == 0 })
    }

    @Test(arguments: [81, 82] as [UInt64])
    func answersEachThreadOnceWhateverTheStorm(seed: UInt64) throws {
        let storm = Storm()
        let figures: FlightStatistics
        do {
            let group = ThreadSingleFlight<Int, Parcel>("test.storm.thread", threads: 64) { key, flight in
                let parcel = storm.make(key)
                let end = MonotonicTime.now.advanced(byNanoseconds: UInt64(parcel.began % 5) * 100_000)
                while MonotonicTime.now < end, !flight.isCancelled { Pause.shortly() }
                if parcel.began % 7 == 0 { throw Vain.broken }
                return parcel
            }
            try onThreads(8) { index in
                var random = SplitMix(seed: seed << 32 | UInt64(index))
                for _ in 0..<150 {
                    let key = Int.random(in: 0..<3, using: &random)
                    let freshness: FlightFreshness = Bool.random(using: &random) ? .shared : .requestedAfterNow
                    let pause = UInt64.random(in: 0..<1_500_000, using: &random)
                    let isBound = Bool.random(using: &random)
                    let deadline = isBound ? MonotonicTime.now.advanced(byNanoseconds: pause) : nil
                    let asked = storm.clock.add(1)
                    let answer = Result { try group.value(for: key, freshness, until: deadline) }
                    storm.note(answer, key: key, asked: asked, freshness)
                }
            }
            figures = group.statistics
            #expect(eventually { group.threads == 0 })
        }
        storm.check(figures, calls: 1_200)
        #expect(eventually { storm.live.now == 0 })
    }
}
