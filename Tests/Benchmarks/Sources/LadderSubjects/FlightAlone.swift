import LockLadder

private let key = "service.00000001.settings.ab"

// MARK: Threads

private struct ThreadCaller: Worker {
    private let group: ThreadSingleFlight<String, UInt64>

    init(_ group: ThreadSingleFlight<String, UInt64>, _ index: Int) { self.group = group }

    @inline(__always)
    func step() -> UInt64 {
        guard let value = try? group.value(for: key) else { fatalError("a flight failed") }
        return value
    }
}

// MARK: Callbacks

private typealias Group = SingleFlight<String, UInt64>

private struct CallbackCaller: Worker {
    private let group: Group
    private let answer = Box<UInt64>(0)

    init(_ group: Group, _ index: Int) { self.group = group }

    @inline(__always)
    func step() -> UInt64 {
        guard (try? group.join(key, .shared) { [answer] value in answer.value = value }) != nil else {
            fatalError("a flight was refused")
        }
        return answer.value
    }
}

// MARK: Tasks

/// As the loop of `measure`, in a task.
private func run(
    _ group: AsyncSingleFlight<String, UInt64>,
    _ options: Options,
    _ stages: [Stage],
    _ phase: Phase
) async throws -> Tally {
    var tally = Tally()
    var chores = Chores(0)
    var checksum: UInt64 = 0
    for (number, stage) in stages.enumerated() {
        let units = tally.plantedUnits
        let isCalibrating = stage.isCalibrating
        var untilSample = Grain.stride
        var batches: UInt64 = 0
        let began = now()
        repeat {
            for _ in 0..<Grain.smallBatch {
                untilSample -= 1
                let isSample = untilSample == 0
                let singleBegan = isSample ? now() : 0
                checksum &+= try await group.value(for: key)
                if isSample {
                    tally.samples.record(nanoseconds: now() - singleBegan)
                    untilSample = Grain.stride
                }
            }
            chores.run(units)
            batches += 1
            if isCalibrating { tally.note(batches) }
        } while phase.isStill(number)
        tally.finish(stage, batches * UInt64(Grain.smallBatch), since: began, options)
    }
    tally.checksum = checksum ^ chores.checksum
    return tally
}

private func run(_ group: AsyncSingleFlight<String, UInt64>, exactly count: Int) async throws -> Tally {
    var tally = Tally()
    for _ in 0..<count { tally.checksum &+= try await group.value(for: key) }
    tally.operations = UInt64(count)
    return tally
}

private func measureTask(_ options: Options, _ group: AsyncSingleFlight<String, UInt64>) -> Report {
    let stages = options.count == nil ? Stage.all(options) : []
    let phase = Phase()
    let tally = Box(Tally())
    let isOver = WakeSignal()
    Task.detached {
        do {
            if let count = options.count {
                tally.value = try await run(group, exactly: count)
            } else {
                tally.value = try await run(group, options, stages, phase)
            }
        } catch { fatalError("a flight failed: \(error)") }
        isOver.raise()
    }
    phase.lead(stages)
    _ = isOver.wait(until: nil)
    return Report([tally.value])
}

enum FlightAlone {
    static let subjects = [
        Subject("async") { options in
            measureTask(options, AsyncSingleFlight<String, UInt64>("bench.flight") { _ in 42 })
        },
        Subject("threads") { options in
            let group = ThreadSingleFlight<String, UInt64>("bench.flight") { _, _ in 42 }
            return measure(ThreadCaller.self, group, options, .singles, threads: 1).report
        },
        Subject("callback") { options in
            let itself = Box<Group?>(nil)
            let group = Group(
                "bench.flight",
                begin: { flight, _ in itself.value?.land(flight, with: 42) },
                cancel: { _ in },
                isFailure: { _ in false }
            )
            itself.value = group
            defer { itself.value = nil }
            return measure(CallbackCaller.self, group, options, .singles, threads: 1).report
        },
    ]
}
