import Synchronization

/// One thread's way of doing a case's operation.
///
/// An operation is to be what it is in a program that uses the library: a few instructions in a loop, where the library
/// is compiled in. So it is written as a local function that is always inlined, and is handed to one of the loops of
/// ``Round``, which are inlined too. A requirement of this protocol would be called, not inlined, once for each
/// operation, and a reader that is no local variable would not be kept in registers.
protocol Work: SendableMetatype {
    /// What all threads have in common.
    associatedtype Shared: Sendable

    /// - Parameter index: the number of this thread.
    static func run(_ shared: Shared, _ index: Int, _ round: inout Round)
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
    func end() { stage.store(Self.over, ordering: .relaxed) }

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
        case measure
    }

    let purpose: Purpose
    let nanoseconds: UInt64

    static func all(_ options: Options) -> [Stage] {
        let length = UInt64(options.milliseconds) * 1_000_000
        return [Stage(purpose: .warmUp, nanoseconds: length / 10), Stage(purpose: .measure, nanoseconds: length)]
    }
}

/// A slowdown that is planted: after each few batches the thread waits, busily, until they took so much longer.
///
/// How long they take need not be known beforehand, and so what is planted is what was asked for on every machine. The
/// clock, which is looked at twice each time, adds less than a hundredth.
private struct Drag {
    private let percent: UInt64
    private var began: UInt64

    /// Cheap operations take 5 us for so many batches.
    private static let batches: UInt64 = 64

    init(_ options: Options, since began: UInt64) {
        percent = options.count == nil ? UInt64(options.planted) : 0
        self.began = began
    }

    /// To be called after each batch.
    @inline(__always)
    mutating func hold(_ batches: UInt64) {
        if percent > 0, batches % Self.batches == 0 { wait() }
    }

    @inline(never)
    private mutating func wait() {
        let goal = began + (now() - began) * (100 + percent) / 100
        repeat { began = now() } while began < goal
    }
}

/// Work that has nothing to do with what is measured.
struct Chores {
    private var state: UInt64

    init(_ seed: Int) { state = UInt64(seed + 1) &* 0x9E37_79B9_7F4A_7C15 | 1 }

    /// A unit takes about 1.5 ns.
    @inline(__always)
    mutating func run(_ units: Int) {
        var left = units
        while left > 0 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            left &-= 1
        }
    }

    var checksum: UInt64 { state }
}

/// What one thread did in the measured stage.
struct Tally: Sendable {
    var operations: UInt64 = 0
    var nanoseconds: UInt64 = 0
    var checksum: UInt64 = 0
    var samples = Histogram()
    /// Operations that were timed alone where samples are batches.
    var singles = Histogram()

    /// To be called at the end of a stage.
    mutating func finish(_ stage: Stage, _ operations: UInt64, since began: UInt64, _ options: Options) {
        if options.count == nil { nanoseconds = now() - began }
        self.operations = operations
        guard stage.purpose == .warmUp else { return }
        samples = Histogram()
        singles = Histogram()
    }
}

/// A round as one of its threads goes through it.
struct Round {
    let options: Options
    let index: Int
    let phase: Phase
    private let stages: [Stage]
    private let barrier: Barrier?
    fileprivate(set) var tally = Tally()

    private static let batch = 256
    /// Where operations are not cheap: so that the stop is seen in time.
    private static let smallBatch = 16
    private static let stride = 61

    init(_ options: Options, index: Int, _ phase: Phase, _ stages: [Stage], _ barrier: Barrier? = nil) {
        self.options = options
        self.index = index
        self.phase = phase
        self.stages = stages
        self.barrier = barrier
    }

    /// Waits for the other threads.
    func ready() { barrier?.wait() }

    /// Cheap operations: the mean of 256 is a sample, of each 61st such batch, so that the clock costs nothing to speak
    /// of.
    @inline(__always)
    mutating func batches(_ step: () -> UInt64) {
        let (size, isTimed) = (options.count ?? Self.batch, options.count == nil)
        var checksum: UInt64 = 0
        ready()
        for (number, stage) in stages.enumerated() {
            var untilSample = Self.stride
            var batches: UInt64 = 0
            let began = isTimed ? now() : 0
            var drag = Drag(options, since: began)
            repeat {
                untilSample -= 1
                let isSample = untilSample == 0
                let batchBegan = isSample ? now() : 0
                for _ in 0..<size { checksum &+= step() }
                if isSample {
                    tally.samples.record(picoseconds: (now() - batchBegan) * 1_000 / UInt64(Self.batch))
                    untilSample = Self.stride
                }
                batches += 1
                drag.hold(batches)
            } while phase.isStill(number)
            tally.finish(stage, batches * UInt64(size), since: began, options)
        }
        tally.checksum = checksum
    }

    /// The same, and after each batch four operations are timed alone.
    @inline(__always)
    mutating func batchesAndSingles(_ step: () -> UInt64) {
        var checksum: UInt64 = 0
        ready()
        for (number, stage) in stages.enumerated() {
            var untilSample = Self.stride
            var batches: UInt64 = 0
            let began = now()
            var drag = Drag(options, since: began)
            repeat {
                untilSample -= 1
                let isSample = untilSample == 0
                let batchBegan = isSample ? now() : 0
                for _ in 0..<Self.batch { checksum &+= step() }
                if isSample {
                    tally.samples.record(picoseconds: (now() - batchBegan) * 1_000 / UInt64(Self.batch))
                    untilSample = Self.stride
                }
                for _ in 0..<4 {
                    let singleBegan = now()
                    checksum &+= step()
                    tally.singles.record(nanoseconds: now() - singleBegan)
                }
                batches += 1
                drag.hold(batches)
            } while phase.isStill(number)
            tally.finish(stage, batches * UInt64(Self.batch + 4), since: began, options)
        }
        tally.checksum = checksum
    }

    /// Other operations: each 65th is timed alone.
    @inline(__always)
    mutating func singles(_ step: () -> UInt64) {
        let (size, isTimed, work) = (options.count ?? Self.smallBatch, options.count == nil, options.work)
        var chores = Chores(index)
        var checksum: UInt64 = 0
        ready()
        for (number, stage) in stages.enumerated() {
            var batches: UInt64 = 0
            var timed: UInt64 = 0
            let began = isTimed ? now() : 0
            var drag = Drag(options, since: began)
            repeat {
                for _ in 0..<size {
                    checksum &+= step()
                    chores.run(work)
                }
                batches += 1
                if isTimed, batches % 4 == 0 {
                    let singleBegan = now()
                    checksum &+= step()
                    tally.samples.record(nanoseconds: now() - singleBegan)
                    chores.run(work)
                    timed += 1
                }
                drag.hold(batches)
            } while phase.isStill(number)
            tally.finish(stage, batches * UInt64(size) + timed, since: began, options)
        }
        tally.checksum = checksum ^ chores.checksum
    }

    /// The same in a task.
    @inline(__always)
    mutating func singles(_ step: () async -> UInt64) async {
        let (size, isTimed, work) = (options.count ?? Self.smallBatch, options.count == nil, options.work)
        var chores = Chores(index)
        var checksum: UInt64 = 0
        for (number, stage) in stages.enumerated() {
            var batches: UInt64 = 0
            var timed: UInt64 = 0
            let began = isTimed ? now() : 0
            var drag = Drag(options, since: began)
            repeat {
                for _ in 0..<size {
                    checksum &+= await step()
                    chores.run(work)
                }
                batches += 1
                if isTimed, batches % 4 == 0 {
                    let singleBegan = now()
                    checksum &+= await step()
                    tally.samples.record(nanoseconds: now() - singleBegan)
                    chores.run(work)
                    timed += 1
                }
                drag.hold(batches)
            } while phase.isStill(number)
            tally.finish(stage, batches * UInt64(size) + timed, since: began, options)
        }
        tally.checksum = checksum ^ chores.checksum
    }
}

/// A thread that is not measured.
struct Helper {
    /// Whether it never pauses: then it is given a processor where there are enough.
    let isBusy: Bool
    let body: @Sendable (inout Round) -> Void

    /// Does what a measured thread does.
    init<W: Work>(repeating type: W.Type, _ shared: W.Shared) {
        isBusy = true
        body = { round in W.run(shared, round.index, &round) }
    }

    /// The writer that `options` ask for: calls `write` with 1, 2, 3 and so on; `nil` where there is none.
    init?(_ options: Options, writing write: @escaping @Sendable (UInt64) -> Void) {
        guard options.writer != .none else { return nil }
        let pauses = options.writer == .eachMillisecond
        isBusy = !pauses
        body = { round in
            round.ready()
            var number: UInt64 = 0
            repeat {
                number += 1
                write(number)
                if pauses { sleep(nanoseconds: 1_000_000) }
            } while !round.phase.isOver
        }
    }
}

/// Something that one thread writes and another reads once that one has ended.
final class Box<Value>: @unchecked Sendable {
    // SAFETY: see the type.
    var value: Value
    init(_ value: Value) { self.value = value }
}

/// Measures one subject once: all threads are made, then warm up, then are measured.
func measure<W: Work>(
    _ type: W.Type,
    _ shared: W.Shared,
    _ options: Options,
    threads: Int? = nil,
    helpers: [Helper?] = []
) -> (report: Report, tallies: [Tally]) {
    if options.count != nil {
        // On this thread, and nothing else runs: what two such calls differ by is due to the operations.
        let phase = Phase()
        phase.end()
        var round = Round(options, index: 0, phase, [Stage(purpose: .measure, nanoseconds: 0)])
        W.run(shared, 0, &round)
        return (Report([round.tally]), [round.tally])
    }
    let measured = threads ?? max(1, options.threads)
    var bodies = (0..<measured).map { _ in Helper(repeating: type, shared) }
    bodies += helpers.compactMap { $0 }
    let isPinned = bodies.count { $0.isBusy } <= Processors.allowed.count
    let stages = Stage.all(options)
    let phase = Phase()
    let barrier = Barrier(bodies.count + 1)
    let results = bodies.map { _ in Box(Tally()) }
    var busy = 0
    var all: [JoinableThread] = []
    for (index, (body, result)) in zip(bodies, results).enumerated() {
        let processor = isPinned && body.isBusy ? busy : nil
        if body.isBusy { busy += 1 }
        all.append(
            JoinableThread {
                if let processor { Processors.pin(to: processor) }
                var round = Round(options, index: index, phase, stages, barrier)
                body.body(&round)
                result.value = round.tally
            }
        )
    }
    barrier.wait()
    phase.lead(stages)
    for thread in all { thread.join() }
    let tallies = results.prefix(measured).map(\.value)
    return (Report(tallies), tallies)
}
