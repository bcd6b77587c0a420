internal import CLockLadder
internal import Glibc

/// Finds locks that are taken in opposite orders, in debug builds: two threads that do so at the same time wait for each
/// other for ever, and most days they do not do so at the same time.
///
/// While a thread holds one lock and takes another, the pair is remembered, by the locks' names, with the places of both.
/// A pair that closes a circle with earlier ones is an inversion: it is kept in ``inversions`` and told once on standard
/// error, though nobody waits yet. A lock taken twice on one thread ends the process, which would hang otherwise.
///
/// Locks of one name are not held against each other: nothing tells one from the other. Release builds check nothing.
public enum LockOrder {
    /// One lock taken while another was held.
    public struct Step: Sendable, Hashable, CustomStringConvertible {
        public let held: String
        public let heldAt: CallSite
        public let taken: String
        public let takenAt: CallSite

        public var description: String { "\(held) (held at \(heldAt)), then \(taken) (at \(takenAt))" }
    }

    /// A circle of steps.
    public struct Inversion: Sendable, Hashable, CustomStringConvertible {
        /// The step that closed it, and the earlier ones that lead back from its second lock to its first.
        public let steps: [Step]

        public var description: String {
            "lock order inversion: " + steps.map(\.description).joined(separator: "; elsewhere ")
                + ". Take them in one order everywhere, or one after the other"
        }
    }

    /// The inversions found so far, at most 64; none in release builds.
    public static var inversions: [Inversion] { state.withUncheckedLock { $0.found } }

    private struct Pair: Hashable {
        let held: String
        let taken: String
    }

    private struct State {
        var steps: [Pair: Step] = [:]
        /// Which locks were taken while one was held.
        var successors: [String: [String]] = [:]
        var found: [Inversion] = []
    }

    /// More pairs than this are not remembered: names are few.
    private static let mostPairs = 4_096

    private static let state = Mutex("ladder.order", State(), registry: nil)

    /// The calling thread is about to take a lock.
    @usableFromInline
    static func willTake(_ lock: LockProbe, _ site: CallSite) {
        let held = unsafe cll_held_locks_of_this_thread()
        let count = unsafe min(held.pointee.count, UInt32(CLL_HELD))
        for index in 0..<Int(count) {
            let other = unsafe entry(index, of: held).pointee
            if other.lock == identity(of: lock) {
                // SAFETY: meant to end the process, which would wait for itself for ever; debug builds only.
                fatalError(
                    "the lock \(lock.name) is taken at \(site) on a thread that holds it since \(heldSite(of: other))"
                )
            }
            let step = Step(
                // SAFETY: `took` stores the address of a literal here, which is never 0.
                held: unsafe String(cString: UnsafePointer<CChar>(bitPattern: other.name).unsafelyUnwrapped),
                heldAt: heldSite(of: other),
                taken: "\(lock.name)",
                takenAt: site
            )
            if step.held != step.taken { remember(step) }
        }
    }

    /// It has it.
    @usableFromInline
    static func took(_ lock: LockProbe, _ site: CallSite) {
        let held = unsafe cll_held_locks_of_this_thread()
        let count = unsafe held.pointee.count
        // Deeper nesting than there is room for is counted, not remembered.
        if count < CLL_HELD {
            let name = unsafe UInt(bitPattern: lock.name.cString)
            let lock = identity(of: lock)
            unsafe entry(Int(count), of: held).initialize(to: cll_held(lock: lock, name: name, site: site.word))
        }
        unsafe held.pointee.count = count + 1
    }

    /// It has let the lock go that it took last.
    @usableFromInline
    static func released() {
        let held = unsafe cll_held_locks_of_this_thread()
        unsafe held.pointee.count -= 1
    }

    private static func entry(
        _ index: Int,
        of held: UnsafeMutablePointer<cll_held_locks>
    ) -> UnsafeMutablePointer<cll_held> {
        // SAFETY: a C array is imported as a tuple, which lies as the array does; the index is below its length.
        let offset = MemoryLayout<cll_held_locks>.offset(of: \.locks) ?? 0
        return unsafe (UnsafeMutableRawPointer(held) + offset).assumingMemoryBound(to: cll_held.self) + index
    }

    /// Good for as long as the lock is held, and so lives.
    private static func identity(of lock: LockProbe) -> UInt { UInt(bitPattern: ObjectIdentifier(lock)) }

    private static func heldSite(of held: cll_held) -> CallSite { CallSite(word: held.site) }

    private static func remember(_ step: Step) {
        let inversion = state.withUncheckedLock { state -> Inversion? in
            let pair = Pair(held: step.held, taken: step.taken)
            guard state.steps[pair] == nil, state.steps.count < mostPairs else { return nil }
            state.steps[pair] = step
            state.successors[step.held, default: []].append(step.taken)
            guard let back = path(from: step.taken, to: step.held, in: state) else { return nil }
            let inversion = Inversion(steps: [step] + back)
            if state.found.count < 64 { state.found.append(inversion) }
            return inversion
        }
        guard let inversion else { return }
        let line = Array("\(inversion)\n".utf8)
        // Standard error may be gone; then there is nobody to tell.
        _ = unsafe line.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// The shortest way along the remembered steps.
    private static func path(from start: String, to end: String, in state: State) -> [Step]? {
        var reached: [String: [Step]] = [start: []]
        var next = [start]
        while let name = next.first {
            next.removeFirst()
            let way = reached[name] ?? []
            if name == end { return way }
            for successor in state.successors[name] ?? [] where reached[successor] == nil {
                guard let step = state.steps[Pair(held: name, taken: successor)] else { continue }
                reached[successor] = way + [step]
                next.append(successor)
            }
        }
        return nil
    }
}
