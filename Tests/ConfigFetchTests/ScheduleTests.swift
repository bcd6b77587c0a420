import Testing

@testable import ConfigFetch

@Suite("When a source is asked next")
struct ScheduleTests {
    @Test func pollsLieInTheRange() {
        var random = SeededGenerator(seed: 1)
        for range in [second...second, (2 * second)...(3 * second), (27 * second)...(33 * second), hour...(2 * hour)] {
            var seen: Set<UInt64> = []
            for _ in 0..<500 {
                let delay = PollSchedule.delay(poll: range, using: &random)
                #expect(range.contains(delay))
                seen.insert(delay)
            }
            #expect(range.lowerBound == range.upperBound || seen.count > 400)
        }
    }

    @Test("Sources that begin together are spread over their time")
    func firstPollsAreSpread() {
        var random = SeededGenerator(seed: 4)
        let poll = (9 * second)...(11 * second)
        var tenths = [Int](repeating: 0, count: 10)
        for _ in 0..<10_000 {
            let delay = PollSchedule.firstDelay(poll: poll, using: &random)
            #expect((second...(11 * second)).contains(delay))
            tenths[min(9, Int((delay - second) / second))] += 1
        }
        #expect(tenths.allSatisfy { (800...1_200).contains($0) })
        for range: ClosedRange<UInt64> in [0...0, second...second] {
            #expect(PollSchedule.firstDelay(poll: range, using: &random) == second)
        }
    }

    @Test func noPollIsShorterThanASecond() {
        var random = SeededGenerator(seed: 2)
        for range: ClosedRange<UInt64> in [0...0, 0...10, 0...(second / 2), 0...(2 * second)] {
            for _ in 0..<200 {
                #expect(PollSchedule.delay(poll: range, using: &random) >= PollSchedule.shortestPoll)
            }
        }
    }

    @Test("After the n-th failure the wait is at most the base doubled n-1 times, at most the cap, and never nothing")
    func retries() {
        var random = SeededGenerator(seed: 3)
        for failures in [1, 2, 3, 5, 7, 20, 41, 42, 64, 1_000, .max] {
            let doubled = failures > 40 ? UInt64.max : second << UInt64(failures - 1)
            let ceiling = min(doubled, 60 * second)
            var longest: UInt64 = 0
            for _ in 0..<300 {
                let delay = retryDelay(failures, using: &random)
                #expect(delay >= PollSchedule.shortestRetry)
                #expect(delay <= ceiling)
                longest = max(longest, delay)
            }
            // Full jitter reaches up to the ceiling.
            #expect(longest > ceiling / 10 * 9)
        }
    }

    private func retryDelay(_ failures: Int, retryAfter: UInt64? = nil, using random: inout SeededGenerator) -> UInt64 {
        PollSchedule.retryDelay(
            failures: failures,
            base: second,
            cap: 60 * second,
            retryAfter: retryAfter,
            using: &random
        )
    }

    @Test(arguments: [(UInt64(0), UInt64(0)), (1, 1), (0, 60), (60, 0), (.max, .max), (1, .max), (.max, 0)])
    func oddBounds(base: UInt64, cap: UInt64) {
        var random = SeededGenerator(seed: 4)
        for failures in [-1, 0, 1, 2, 50, .max] {
            for _ in 0..<20 {
                let delay = PollSchedule.retryDelay(
                    failures: failures,
                    base: base,
                    cap: cap,
                    retryAfter: nil,
                    using: &random
                )
                #expect(delay >= PollSchedule.shortestRetry)
                #expect(delay <= max(cap, PollSchedule.shortestRetry))
            }
        }
    }

    @Test("A source may ask to be left alone, but not for ever")
    func retryAfter() {
        var random = SeededGenerator(seed: 5)
        for _ in 0..<200 {
            #expect(retryDelay(1, retryAfter: 90 * second, using: &random) == 90 * second)
            #expect(retryDelay(1, retryAfter: .max, using: &random) == PollSchedule.longestRetryAfter)
            #expect(retryDelay(1, retryAfter: 0, using: &random) >= PollSchedule.shortestRetry)
            #expect(retryDelay(20, retryAfter: 10 * second, using: &random) >= 10 * second)
        }
    }
}

@Suite("The heap of timers")
struct TimerHeapTests {
    @Test func empty() {
        var heap = TimerHeap<Int>()
        #expect(heap.earliest == nil)
        #expect(heap.pop(dueBy: .max) == nil)
    }

    @Test func onlyWhatIsDue() {
        var heap = TimerHeap<String>()
        heap.insert("late", due: 20)
        heap.insert("early", due: 10)
        #expect(heap.pop(dueBy: 9) == nil)
        #expect(heap.pop(dueBy: 10) == "early")
        #expect(heap.pop(dueBy: 10) == nil)
        #expect(heap.earliest == 20)
        #expect(heap.pop(dueBy: .max) == "late")
    }

    @Test("Like sorting, whatever comes in whatever order", arguments: 0..<50)
    func random(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var heap = TimerHeap<Int>()
        var model: [(due: UInt64, element: Int)] = []
        var now: UInt64 = 0
        for element in 0..<400 {
            if Int.random(in: 0..<3, using: &random) > 0 {
                let due = now + UInt64.random(in: 0...50, using: &random)
                heap.insert(element, due: due)
                model.append((due, element))
            } else {
                now += UInt64.random(in: 0...20, using: &random)
                while let popped = heap.pop(dueBy: now) {
                    guard let index = model.firstIndex(where: { $0.element == popped }) else {
                        Issue.record("\(popped) was not in the heap")
                        return
                    }
                    #expect(model[index].due == model.map(\.due).min())
                    model.remove(at: index)
                }
                #expect(model.allSatisfy { $0.due > now })
            }
            #expect(heap.earliest == model.map(\.due).min())
        }
        var order: [UInt64] = []
        while let due = heap.earliest, heap.pop(dueBy: .max) != nil { order.append(due) }
        #expect(order == model.map(\.due).sorted())
    }
}
