import Synchronization

/// One thread's way of doing a case's operation. The loops below are compiled anew for each type of worker, so that an
/// operation is what it is in a program that uses the library: no call through a table, no closure kept.
protocol Worker: ~Copyable, SendableMetatype {
    /// What the workers of all threads have in common.
    associatedtype Shared: Sendable

    /// Called on the thread that the worker is for.
    ///
    /// - Parameter index: the number of that thread.
    init(_ shared: Shared, _ index: Int)

    /// One operation. What it returns is folded into the checksum.
    mutating func step() -> UInt64
}

/// How a case's operations are timed.
enum Grain {
    /// Cheap ones: the mean of 256 is a sample, of each 61st such batch, so that the clock costs nothing to speak of.
    case batches
    /// The same, and after each batch four operations are timed alone.
    case batchesAndSingles
    /// Each 61st operation is a sample. The stop is looked for after each 16.
    case singles

    static let batch = 256
    static let smallBatch = 16
    static let singlesPerBatch = 4
    static let stride = 61
}

/// Where a round stands: a word on lines of its own that the main thread moves on and all others look at.
final class Phase: Sendable {
    private let before: InlineArray<16, UInt64> = .init(repeating: 0)
    private let stage = Atomic<Int>(0)
    private let after: InlineArray<15, UInt64> = .init(repeating: 0)
    private static let over = Int.max

    // Relaxed, all: nothing else is ordered by it.
    @inline(__always)
    func isStill(_ stage: Int) -> Bool { self.stage.load(ordering: .relaxed) == stage }

    @inline(__always)
    var isOver: Bool { isStill(Self.over) }

    fileprivate func moveOn() { stage.add(1, ordering: .relaxed) }
    fileprivate func end() { stage.store(Self.over, ordering: .relaxed) }

    /// Leads the others through the stages.
    func lead(_ stages: [Stage]) {
        for (index, stage) in stages.enumerated() {
            sleep(nanoseconds: stage.nanoseconds)
            if index + 1 < stages.count { moveOn() } else { end() }
        }
    }
}

/// A part of a round.
struct Stage {
    enum Purpose {
        case warmUp
        /// Learns how long an operation takes, to make it longer.
        case baseline
        /// Comes nearer to how much longer it is to be.
        case adjust
        case measure
    }

    let purpose: Purpose
    let nanoseconds: UInt64

    var isCalibrating: Bool { purpose == .baseline || purpose == .adjust }

    static func all(_ options: Options) -> [Stage] {
        let length = UInt64(options.milliseconds) * 1_000_000
        var stages = [Stage(purpose: .warmUp, nanoseconds: length / 10)]
        if options.planted > 0 {
            stages.append(Stage(purpose: .baseline, nanoseconds: 20_000_000))
            for _ in 0..<6 { stages.append(Stage(purpose: .adjust, nanoseconds: 10_000_000)) }
        }
        return stages + [Stage(purpose: .measure, nanoseconds: length)]
    }
}

/// Work that has nothing to do with what is measured.
struct Chores {
    private var state: UInt64

    init(_ seed: Int) { state = UInt64(seed + 1) &* 0x9E37_79B9_7F4A_7C15 | 1 }

    /// A unit takes about 1.5 ns.
    @inline(__always)
    mutating func run(_ units: Int) {
        for _ in 0..<units {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
        }
    }

    var checksum: UInt64 { state }
}

/// What one thread did in the measured stage, and how slow it makes itself if it is to.
struct Tally: Sendable {
    var operations: UInt64 = 0
    var nanoseconds: UInt64 = 0
    var checksum: UInt64 = 0
    var samples = Histogram()
    /// Operations that were timed alone where samples are batches.
    var singles = Histogram()
    /// Units of work after each batch that make operations longer.
    private(set) var plantedUnits = 0
    /// Nanoseconds of a batch without them.
    private var baseline = 0.0
    /// How long so many batches took, over and over: their median knows nothing of the times when the thread did not run.
    private var spans: [UInt64] = []
    private var spanBegan: UInt64 = 0
    private static let batchesPerSpan: UInt64 = 16

    /// To be called after each batch of a stage in which it matters how long they take.
    @inline(never)
    mutating func note(_ batches: UInt64) {
        guard batches % Self.batchesPerSpan == 0 else { return }
        let end = now()
        if spanBegan != 0 { spans.append(end - spanBegan) }
        spanBegan = end
    }

    /// To be called at the end of a stage.
    mutating func finish(_ stage: Stage, _ operations: UInt64, since began: UInt64, _ options: Options) {
        nanoseconds = now() - began
        self.operations = operations
        guard stage.purpose != .measure else { return }
        samples = Histogram()
        singles = Histogram()
        spanBegan = 0
        guard !spans.isEmpty else { return }
        let batch = Double(spans.sorted()[spans.count / 2]) / Double(Self.batchesPerSpan)
        spans.removeAll()
        if stage.purpose == .baseline { baseline = batch }
        let wanted = baseline * Double(options.planted) / 100
        if stage.purpose == .baseline {
            plantedUnits = max(1, Int(wanted / 1.5))
        } else {
            // What a unit costs depends on what runs beside it, so what was reached says how many are needed.
            let factor = wanted / max(batch - baseline, wanted / 4)
            plantedUnits = max(1, Int((Double(plantedUnits) * max(factor, 0.5)).rounded()))
        }
    }
}

/// A thread that is not measured.
struct Helper {
    /// Whether it never pauses: then it is given a processor where there are enough.
    var isBusy: Bool
    /// Ends when the phase is over.
    var body: @Sendable (Phase) -> Void

    /// Does what a worker does, all the time.
    init<W: Worker & ~Copyable>(repeating type: W.Type, _ shared: W.Shared) {
        isBusy = true
        body = { phase in
            var worker = W(shared, 0)
            var checksum: UInt64 = 0
            repeat {
                for _ in 0..<Grain.batch { checksum &+= worker.step() }
            } while !phase.isOver
            keep(checksum)
        }
    }

    /// The writer that `options` ask for: calls `write` with 1, 2, 3 and so on; `nil` where there is none.
    init?(_ options: Options, writing write: @escaping @Sendable (UInt64) -> Void) {
        guard options.writer != .none else { return nil }
        let pauses = options.writer == .eachMillisecond
        isBusy = !pauses
        body = { phase in
            var number: UInt64 = 0
            repeat {
                number += 1
                write(number)
                if pauses { sleep(nanoseconds: 1_000_000) }
            } while !phase.isOver
        }
    }
}

/// For what has to be computed although nobody looks at it.
@inline(never)
func keep(_ value: UInt64) {
    withExtendedLifetime(value) {}
}

/// Measures one subject once: all threads are made, then warm up, then are measured.
func measure<W: Worker & ~Copyable>(
    _ type: W.Type,
    _ shared: W.Shared,
    _ options: Options,
    _ grain: Grain,
    threads: Int? = nil,
    helpers: [Helper] = []
) -> (report: Report, tallies: [Tally]) {
    if let count = options.count { return (run(exactly: count, type, shared), []) }
    let threads = threads ?? max(1, options.threads)
    let busy = threads + helpers.count { $0.isBusy }
    let isPinned = busy <= Processors.allowed.count
    let stages = Stage.all(options)
    let phase = Phase()
    let barrier = Barrier(threads + helpers.count + 1)
    let results = (0..<threads).map { _ in Box(Tally()) }
    var all = results.enumerated().map { index, result in
        JoinableThread {
            if isPinned { Processors.pin(to: index) }
            result.value = run(type, shared, options, grain, stages, phase, barrier, index)
        }
    }
    var place = threads
    for helper in helpers {
        let processor = isPinned && helper.isBusy ? place : nil
        if helper.isBusy { place += 1 }
        all.append(
            JoinableThread {
                if let processor { Processors.pin(to: processor) }
                barrier.wait()
                helper.body(phase)
            }
        )
    }
    barrier.wait()
    phase.lead(stages)
    for thread in all { thread.join() }
    let tallies = results.map(\.value)
    return (Report(tallies), tallies)
}

/// Something that one thread writes and another reads once that one has ended.
final class Box<Value>: @unchecked Sendable {
    // SAFETY: see the type.
    var value: Value
    init(_ value: Value) { self.value = value }
}

/// One thread's round.
@inline(never)
private func run<W: Worker & ~Copyable>(
    _ type: W.Type,
    _ shared: W.Shared,
    _ options: Options,
    _ grain: Grain,
    _ stages: [Stage],
    _ phase: Phase,
    _ barrier: Barrier,
    _ index: Int
) -> Tally {
    var tally = Tally()
    barrier.wait()
    switch grain {
    case .batches: runBatches(&tally, type, shared, options, stages, phase, index)
    case .batchesAndSingles: runBatchesAndSingles(&tally, type, shared, options, stages, phase, index)
    case .singles: runSingles(&tally, type, shared, options, stages, phase, index)
    }
    return tally
}

// In each of the three the worker is a local variable, as a reader is in the function of a user: the compiler may keep
// its parts in registers.

@inline(never)
private func runBatches<W: Worker & ~Copyable>(
    _ tally: inout Tally,
    _ type: W.Type,
    _ shared: W.Shared,
    _ options: Options,
    _ stages: [Stage],
    _ phase: Phase,
    _ index: Int
) {
    var worker = W(shared, index)
    var chores = Chores(index)
    var checksum: UInt64 = 0
    for (number, stage) in stages.enumerated() {
        let units = tally.plantedUnits
        let isCalibrating = stage.isCalibrating
        var untilSample = Grain.stride
        var batches: UInt64 = 0
        let began = now()
        repeat {
            untilSample -= 1
            let isSample = untilSample == 0
            let batchBegan = isSample ? now() : 0
            for _ in 0..<Grain.batch { checksum &+= worker.step() }
            chores.run(units)
            if isSample {
                tally.samples.record(picoseconds: (now() - batchBegan) * 1_000 / UInt64(Grain.batch))
                untilSample = Grain.stride
            }
            batches += 1
            if isCalibrating { tally.note(batches) }
        } while phase.isStill(number)
        tally.finish(stage, batches * UInt64(Grain.batch), since: began, options)
    }
    tally.checksum = checksum ^ chores.checksum
}

@inline(never)
private func runBatchesAndSingles<W: Worker & ~Copyable>(
    _ tally: inout Tally,
    _ type: W.Type,
    _ shared: W.Shared,
    _ options: Options,
    _ stages: [Stage],
    _ phase: Phase,
    _ index: Int
) {
    var worker = W(shared, index)
    var chores = Chores(index)
    var checksum: UInt64 = 0
    for (number, stage) in stages.enumerated() {
        let units = tally.plantedUnits
        let isCalibrating = stage.isCalibrating
        var untilSample = Grain.stride
        var batches: UInt64 = 0
        let began = now()
        repeat {
            untilSample -= 1
            let isSample = untilSample == 0
            let batchBegan = isSample ? now() : 0
            for _ in 0..<Grain.batch { checksum &+= worker.step() }
            chores.run(units)
            if isSample {
                tally.samples.record(picoseconds: (now() - batchBegan) * 1_000 / UInt64(Grain.batch))
                untilSample = Grain.stride
            }
            for _ in 0..<Grain.singlesPerBatch {
                let singleBegan = now()
                checksum &+= worker.step()
                tally.singles.record(nanoseconds: now() - singleBegan)
            }
            batches += 1
            if isCalibrating { tally.note(batches) }
        } while phase.isStill(number)
        tally.finish(stage, batches * UInt64(Grain.batch + Grain.singlesPerBatch), since: began, options)
    }
    tally.checksum = checksum ^ chores.checksum
}

@inline(never)
private func runSingles<W: Worker & ~Copyable>(
    _ tally: inout Tally,
    _ type: W.Type,
    _ shared: W.Shared,
    _ options: Options,
    _ stages: [Stage],
    _ phase: Phase,
    _ index: Int
) {
    var worker = W(shared, index)
    var chores = Chores(index)
    let work = options.work
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
                checksum &+= worker.step()
                if isSample {
                    tally.samples.record(nanoseconds: now() - singleBegan)
                    untilSample = Grain.stride
                }
                chores.run(work)
            }
            chores.run(units)
            batches += 1
            if isCalibrating { tally.note(batches) }
        } while phase.isStill(number)
        tally.finish(stage, batches * UInt64(Grain.smallBatch), since: began, options)
    }
    tally.checksum = checksum ^ chores.checksum
}

/// So many operations on this thread and nothing else: what two such runs differ by is due to the operations.
@inline(never)
private func run<W: Worker & ~Copyable>(exactly count: Int, _ type: W.Type, _ shared: W.Shared) -> Report {
    var worker = W(shared, 0)
    var checksum: UInt64 = 0
    for _ in 0..<count { checksum &+= worker.step() }
    var tally = Tally()
    tally.operations = UInt64(count)
    tally.checksum = checksum
    return Report([tally])
}
