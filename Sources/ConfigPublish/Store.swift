public import ConfigSnapshot
public import ConfigTrust
internal import Glibc
public import LockLadder

/// Keeps the documents in use on disk, on a thread of its own, so that a slow disk holds up nobody.
///
/// What is handed over while a write is going on replaces what waits: per source only the newest is kept. A write
/// that fails is tried again until it works; what is served does not depend on it.
public final class Store: Sendable {
    /// How far what is published has reached the disk.
    public struct State: Sendable {
        /// The newest generation all of whose documents are synced to disk.
        public var durableGeneration: UInt64 = 0
        /// Why nothing can be written at the moment, and since when (nanoseconds since 1970).
        public var failure: (error: FileError, since: Int64)?
        /// Whether generations are reserved on disk for this run.
        var hasReserved = false
        /// When writing last worked again after a failure.
        public var recoveredAt: Int64?
    }

    private struct Pending {
        var documents: [SourceName: StoredDocument] = [:]
        /// What is being written.
        var inHand: [SourceName: StoredDocument] = [:]
        var layers: [SourceName]?
        var versions: VersionMarks?
        var generation: UInt64?
        /// Of the newest generation that is not recorded yet.
        var record: GenerationRecord?
        /// Documents of that generation that have been replaced since.
        var replaced: [StoredDocument] = []
        var operatorState: OperatorState?
        var quarantine: Quarantine?
        /// Told once that is on disk.
        var waiting: [WakeSignal] = []
        /// One for each source: whoever asked before has gone.
        var loads: [SourceName: Delivery] = [:]
        var isStopping = false

        mutating func add(_ record: GenerationRecord?, _ layers: [SourceName]?, _ generation: UInt64) {
            self.layers = layers ?? self.layers
            self.record = record ?? self.record
            forgetUnneeded()
            self.generation = max(self.generation ?? 0, generation)
        }

        /// Of what was replaced only that is needed which the record names, and which is not there otherwise.
        mutating func forgetUnneeded() {
            guard let record else {
                replaced = []
                return
            }
            replaced = replaced.filter { old in
                documents[old.source]?.id != old.id && record.names(old)
            }
        }
    }

    /// Generations that are to be kept in any case.
    private struct Pins {
        /// What the file on disk pins.
        var written: UInt64?
        /// What the file will pin next.
        var wanted: UInt64?
        /// What is being gone back to.
        var protected: [UInt64] = []
        /// Whether the file may pin something else: it could not be read.
        var mayBeOthers = false

        var all: Set<UInt64> { Set([written, wanted].compactMap(\.self) + protected) }
    }

    /// Told once what is stored of a source, on the store's thread. Must not wait.
    public typealias Delivery = @Sendable (Result<StoredDocument?, StoredDocumentFault>) -> Void

    /// Generations are reserved this many at a time: a crash skips at most that many, and none is used twice.
    private static let reservation: UInt64 = 1_024
    private static let longestRetry: UInt64 = 60_000_000_000

    private let directory: String
    private let onChange: @Sendable (FileError?) -> Void
    private let pending = Mutex("store.pending", Pending())
    private let state = Mutex("store.state", State())
    private let reservedThrough = Mutex("store.reservation", UInt64(0))
    private let writtenLayers = Mutex<[SourceName]?>("store.layers", nil)
    private let writtenVersions = Mutex<VersionMarks?>("store.versions", nil)
    /// Lists of them that are there and could not be read.
    private let unreadVersions = Mutex("store.versions.unread", [String]())
    private let generations: GenerationStore
    private let retention: Mutex<Retention>
    private let pins = Mutex("store.pins", Pins())
    /// Whether the names of what lies there are on disk too: what a killed process has renamed may be seen and be lost.
    private let areNamesSynced = Mutex("store.synced", false)
    /// The ids of the documents that lie on disk as the newest of their sources.
    private let newest = Mutex("store.newest", [SourceName: DocumentID]())
    private let signal = WakeSignal()
    private let thread = Mutex<NamedThread?>("store.thread", nil)

    /// - Parameters:
    ///   - directory: the agent's state directory; made if it is missing.
    ///   - retention: how far back generations are kept.
    ///   - onChange: told when writing begins to fail (with the reason) and when it works again (`nil`).
    public init(
        directory: String,
        retention: Retention = Retention(),
        onChange: @escaping @Sendable (FileError?) -> Void
    ) {
        self.directory = directory
        self.retention = Mutex("store.retention", retention)
        generations = GenerationStore(directory: directory)
        self.onChange = onChange
    }

    private var documentDirectory: String { directory + "/documents" }

    // MARK: At the start

    /// Makes the directories and reserves generations.
    ///
    /// - Returns: the last generation that an earlier run may have used; new ones begin after it. Where the
    ///   directory cannot be used (see ``currentState``) that is the time of day in milliseconds, which is beyond any
    ///   count.
    public func open() -> UInt64 {
        let used: UInt64
        do throws(FileError) {
            try makeDirectories()
            try generations.open()
            // Where that number was lost, the records know that there were generations.
            used = max(try readReservation(), generations.records.map(\.last).max() ?? 0)
        } catch {
            // Not even looking works, so nothing is known of earlier runs.
            noteFailure(error)
            return startUnreserved(after: Self.unknownGeneration)
        }
        do throws(FileError) {
            try syncNames()
            try reserve(through: used + Self.reservation)
            return used
        } catch {
            // Without a reservation the next run would count from the same number: go on from where it cannot be.
            noteFailure(error)
            return startUnreserved(after: max(used, Self.unknownGeneration))
        }
    }

    /// Leaves the reservation to the store's thread, which tries until it works.
    private func startUnreserved(after used: UInt64) -> UInt64 {
        reservedThrough.withLock { $0 = used }
        pending.withLock { $0.generation = $0.generation ?? 0 }
        return used
    }

    /// The generation after `generation`. Where none is reserved any more, because nothing can be written, it is the
    /// time of day in milliseconds: the next run counts on from what was reserved, and must not meet these numbers.
    public func next(after generation: UInt64) -> UInt64 {
        let reserved = reservedThrough.withLock { $0 }
        // Only once: from there on they are counted again.
        return generation == reserved ? max(generation + 1, Self.unknownGeneration) : generation + 1
    }

    private static var unknownGeneration: UInt64 { UInt64(WallClock.nowNanoseconds / 1_000_000) }

    private func makeDirectories() throws(FileError) {
        try FileIO.makeDirectory(directory)
        try FileIO.makeDirectory(documentDirectory)
        try generations.makeDirectories()
    }

    private func syncNames() throws(FileError) {
        guard !areNamesSynced.withLock({ $0 }) else { return }
        for path in [documentDirectory, directory] { try FileIO.syncDirectory(path) }
        try generations.syncNames()
        areNamesSynced.withLock { $0 = true }
    }

    private func readReservation() throws(FileError) -> UInt64 {
        do throws(FileError) {
            let text = try FileIO.read(directory + "/generation", limit: 64)
            // A damaged file must not lead to a generation used twice: half a number is a number too, so the line's
            // end has to be there.
            let digits = text.dropLast()
            guard text.last == UInt8(ascii: "\n"), digits.allSatisfy({ (0x30...0x39).contains($0) }) else {
                return Self.unknownGeneration
            }
            // So is a number that no run of this agent can have reached.
            return UInt64(generation: String(decoding: digits, as: UTF8.self)) ?? Self.unknownGeneration
        } catch  where error.isMissing {
            return 0
        }
    }

    private func reserve(through generation: UInt64) throws(FileError) {
        try FileIO.replace("generation", in: directory, with: [Array("\(generation)\n".utf8)])
        reservedThrough.withLock { $0 = generation }
        state.withLock { $0.hasReserved = true }
    }

    /// The stored copy of `source`. One that cannot be used is set aside.
    ///
    /// - Returns: `nil` when there is none.
    public func load(_ source: SourceName) throws(StoredDocumentFault) -> StoredDocument? {
        // What is not on disk yet is newer than what is.
        if let newer = pending.withLock({ $0.documents[source] ?? $0.inHand[source] }) { return newer }
        let path = documentDirectory + "/" + source.text
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try FileIO.read(path, limit: StoredForm.largestFile)
        } catch {
            if error.isMissing { return nil }
            throw .file(error)
        }
        do throws(StoredDocumentFault) {
            let document = try StoredForm.decode(bytes, of: source)
            newest.withLock { $0[source] = document.id }
            return document
        } catch {
            FileIO.setAside(path)
            throw error
        }
    }

    /// The newest stored copy of `source` that can be used, and why it is not the newest of all, if it is not.
    public func loadGood(_ source: SourceName) -> (document: StoredDocument?, fault: StoredDocumentFault?) {
        var fault: StoredDocumentFault?
        do throws(StoredDocumentFault) {
            if let document = try load(source) { return (document, nil) }
        } catch {
            fault = error
        }
        var tried: Set<DocumentID> = []
        for layer in generations.records.reversed().flatMap(\.layers) where layer.source == source {
            guard tried.insert(layer.id).inserted, let older = try? generations.document(source, layer.id) else {
                continue
            }
            // In its place again, or the next start would have to find it again; but not in the place of what is there, and
            // may be read at another time.
            if fault?.wasSetAside != false { keep([older], layers: nil, generation: 0) }
            let missing = FileError(operation: "open", path: documentDirectory + "/" + source.text, code: ENOENT)
            return (older, fault ?? .file(missing))
        }
        return (nil, fault)
    }

    // MARK: Generations

    /// Why not all generations are known that are kept; nothing is forgotten then.
    public var historyFault: FileError? { generations.fault }

    /// The generations that can be gone back to, oldest first.
    public var records: [GenerationRecord] { generations.records }

    /// What there is to say of the content that `generation` had; `nil` where it is not kept.
    public func record(of generation: UInt64) -> GenerationRecord? { generations.record(of: generation) }

    /// Reads the documents of a generation, in the order of its layers. Waits for the disk.
    public func documents(
        of generation: UInt64
    ) throws(GenerationFault) -> (record: GenerationRecord, documents: [StoredDocument]) {
        guard let record = record(of: generation) else { throw .notKept(generation) }
        var documents: [StoredDocument] = []
        for layer in record.layers {
            do throws(StoredDocumentFault) {
                documents.append(try generations.document(layer.source, layer.id))
            } catch {
                // It may have been forgotten meanwhile.
                throw self.record(of: generation) == nil ? .notKept(generation) : .document(layer.source, error)
            }
        }
        return (record, documents)
    }

    /// Keeps generations as far back as this from now on.
    public func keep(_ retention: Retention) { self.retention.withLock { $0 = retention } }

    /// Keeps a generation that is being gone back to, until it is released as often.
    public func protect(_ generation: UInt64) { pins.withLock { $0.protected.append(generation) } }

    /// It need not be kept for that any more: it is pinned now, or it is not gone back to.
    public func release(_ generation: UInt64) {
        pins.withLock { pins in
            if let index = pins.protected.firstIndex(of: generation) { pins.protected.remove(at: index) }
        }
    }

    private static let operatorFile = "operator"

    /// What the operator has commanded for good.
    public func loadOperatorState() throws(StoredDocumentFault) -> OperatorState {
        let path = directory + "/" + Self.operatorFile
        let bytes: [UInt8]
        do throws(FileError) { bytes = try FileIO.read(path, limit: 1 << 20) } catch {
            // In what is no directory nothing was ever written.
            if error.isMissing || error.code == ENOTDIR { return OperatorState() }
            pins.withLock { $0.mayBeOthers = true }
            throw .file(error)
        }
        guard let state = OperatorState(parsing: bytes) else {
            FileIO.setAside(path)
            throw .damaged
        }
        pins.withLock { $0.written = state.pin?.generation }
        return state
    }

    /// Has `state` written, and with it the generation that it has made, if it has made one: neither is durable without the
    /// other. Never waits.
    ///
    /// - Returns: what is raised once it is on disk.
    public func keep(
        _ state: OperatorState,
        layers: [SourceName]? = nil,
        record: GenerationRecord? = nil
    ) -> WakeSignal {
        let done = WakeSignal()
        pins.withLock { $0.wanted = state.pin?.generation }
        pending.withLock { pending in
            pending.operatorState = state
            pending.waiting.append(done)
            pending.add(record, layers, record?.generation ?? 0)
        }
        signal.raise()
        return done
    }

    /// - Returns: what is raised once all that was handed over before is on disk.
    public func whenWritten() -> WakeSignal {
        let done = WakeSignal()
        pending.withLock { pending in
            pending.waiting.append(done)
            pending.generation = pending.generation ?? 0
        }
        signal.raise()
        return done
    }

    static let quarantineFile = "quarantine"

    /// What rules have refused, and what was accepted all the same.
    public func loadQuarantine() throws(StoredDocumentFault) -> Quarantine {
        let path = directory + "/" + Self.quarantineFile
        let bytes: [UInt8]
        do throws(FileError) { bytes = try FileIO.read(path, limit: 4 << 20) } catch {
            if error.isMissing { return Quarantine() }
            throw .file(error)
        }
        guard let quarantine = Quarantine(parsing: bytes) else {
            FileIO.setAside(path)
            throw .damaged
        }
        return quarantine
    }

    /// Has it written. Never waits; what is handed over afterwards is not on disk before it.
    public func keep(_ quarantine: Quarantine) {
        pending.withLock { pending in
            pending.quarantine = quarantine
            pending.generation = pending.generation ?? 0
        }
        signal.raise()
    }

    private static let layersSignature = "config-agent layers 1\n"
    private static let layersEnd = "end\n"

    /// The layers that were last in force, first one first; `nil` when that is not known.
    public func loadLayers() -> [SourceName]? {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try FileIO.read(directory + "/layers", limit: 16 << 20)
        } catch {
            return nil
        }
        let text = String(decoding: bytes, as: UTF8.self)
        // Half a list is a list too, so its end has to be there.
        guard text.hasPrefix(Self.layersSignature), text.hasSuffix("\n" + Self.layersEnd) else { return nil }
        let lines = text.split(separator: "\n").dropFirst().dropLast()
        let names = lines.compactMap { SourceName(String($0)) }
        return names.count == lines.count ? names : nil
    }

    /// Twice, as nothing else knows what was accepted once it is lost.
    static let versionsFiles = ["versions", "versions.copy"]

    /// The highest versions that were accepted, by both lists. One that cannot be used is set aside.
    ///
    /// - Returns: with them, what is wrong with the lists.
    public func loadVersions() -> (marks: VersionMarks, faults: [StoredDocumentFault]) {
        var found: [VersionMarks] = []
        var faults: [StoredDocumentFault] = []
        var missing: [StoredDocumentFault] = []
        for name in Self.versionsFiles {
            do throws(StoredDocumentFault) { found.append(try readVersions(name)) } catch {
                guard case .file(let failure) = error else {
                    faults.append(error)
                    continue
                }
                if failure.isMissing { missing.append(error) } else { faults.append(error) }
                if failure.isPassing { unreadVersions.withLock { $0.append(name) } }
            }
        }
        // None is there before the first is written.
        if missing.count < Self.versionsFiles.count { faults += missing }
        let marks = found.reduce(into: VersionMarks()) { $0.merge($1) }
        // Of two that differ, one is older: a crash came between them.
        if found.count == Self.versionsFiles.count, found.allSatisfy({ $0 == marks }) {
            writtenVersions.withLock { $0 = marks }
        }
        return (marks, faults)
    }

    /// What was accepted by all that is known now: lists of which none could be read before are not replaced without what
    /// they say.
    private func whole(_ versions: VersionMarks) throws(FileError) -> VersionMarks {
        let unread = unreadVersions.withLock { $0 }
        guard unread.count == Self.versionsFiles.count else { return versions }
        var versions = versions
        for name in unread {
            do throws(StoredDocumentFault) { versions.merge(try readVersions(name)) } catch {
                if case .file(let failure) = error, failure.isPassing { throw failure }
            }
        }
        unreadVersions.withLock { $0 = [] }
        return versions
    }

    private func readVersions(_ name: String) throws(StoredDocumentFault) -> VersionMarks {
        let path = directory + "/" + name
        let bytes: [UInt8]
        do throws(FileError) { bytes = try FileIO.read(path, limit: 64 << 20) } catch { throw .file(error) }
        do throws(TrustError) { return try VersionMarks(parsing: bytes) } catch {
            FileIO.setAside(path)
            throw .incomplete("\(error)")
        }
    }

    // MARK: While running

    /// - Returns: `false` when the system has no thread to give.
    public func start() -> Bool {
        let started = NamedThread("agent-store") { self.run() }
        thread.withLock { $0 = started }
        return started != nil
    }

    /// Hands over the documents that became part of `generation`, the names of its layers (`nil` while there is no
    /// generation), the highest versions accepted, and what there is to say of `generation` where it is new. Never waits.
    public func keep(
        _ documents: [StoredDocument],
        layers: [SourceName]?,
        versions: VersionMarks? = nil,
        record: GenerationRecord? = nil,
        generation: UInt64
    ) {
        pending.withLock { pending in
            pending.versions = versions ?? pending.versions
            for document in documents {
                if let old = pending.documents.updateValue(document, forKey: document.source) {
                    pending.replaced.append(old)
                }
            }
            pending.add(record, layers, generation)
        }
        signal.raise()
    }

    /// Reads the stored copy of `source` on the store's thread, between two writes; or gives the one that waits to be
    /// written. Never waits. Of two calls for one source that come together only the later is answered.
    public func load(_ source: SourceName, deliver: @escaping Delivery) {
        pending.withLock { $0.loads[source] = deliver }
        signal.raise()
    }

    /// Writes what is still waiting and ends the thread.
    ///
    /// - Returns: `false` when `deadline` passed first; what was not written is lost with the process.
    public func stop(until deadline: MonotonicTime) -> Bool {
        pending.withLock { $0.isStopping = true }
        signal.raise()
        let running = thread.withLock { $0.take() }
        return running?.join(until: deadline) ?? true
    }

    public var currentState: State { state.withLock { $0 } }

    /// Notes that what was loaded is on disk as `generation`; as far as it is known to be there, not only to be seen.
    public func noteLoaded(_ generation: UInt64) {
        if areNamesSynced.withLock({ $0 }) { noteDurable(generation) }
    }

    private func noteDurable(_ generation: UInt64) {
        state.withLock { $0.durableGeneration = max($0.durableGeneration, generation) }
    }

    private func run() {
        // What could not be reserved at the start is tried at once.
        var retry: UInt64? = currentState.failure == nil ? nil : 1_000_000
        while true {
            let deadline = retry.map { MonotonicTime.now.advanced(byNanoseconds: $0) }
            _ = signal.wait(until: deadline)
            let batch = take()
            answerLoads()
            if let generation = batch.generation {
                do throws(FileError) {
                    try write(batch, generation: generation)
                    noteSuccess()
                    retry = nil
                } catch {
                    putBack(batch)
                    noteFailure(error)
                    retry = min(max(retry ?? 0, 500_000_000) * 2, Self.longestRetry)
                }
            }
            if batch.isStopping { return }
        }
    }

    private func answerLoads() {
        let loads = pending.withLock { pending in
            defer { pending.loads = [:] }
            return pending.loads
        }
        for (source, deliver) in loads { deliver(Result { () throws(StoredDocumentFault) in try load(source) }) }
    }

    private func take() -> Pending {
        pending.withLock { pending in
            let taken = pending
            pending.inHand = pending.documents
            pending.documents = [:]
            pending.layers = nil
            pending.versions = nil
            pending.generation = nil
            pending.record = nil
            pending.replaced = []
            pending.operatorState = nil
            pending.quarantine = nil
            pending.waiting = []
            return taken
        }
    }

    private func putBack(_ batch: Pending) {
        pending.withLock { pending in
            // What was handed over meanwhile is newer.
            pending.replaced += batch.replaced + batch.documents.values.filter { pending.documents[$0.source] != nil }
            pending.record = pending.record ?? batch.record
            pending.documents.merge(batch.documents) { newer, _ in newer }
            pending.forgetUnneeded()
            pending.operatorState = pending.operatorState ?? batch.operatorState
            pending.quarantine = pending.quarantine ?? batch.quarantine
            pending.waiting += batch.waiting
            pending.inHand = [:]
            pending.layers = pending.layers ?? batch.layers
            pending.versions = pending.versions ?? batch.versions
            pending.generation = [pending.generation, batch.generation].compactMap(\.self).max()
        }
    }

    private func write(_ batch: Pending, generation: UInt64) throws(FileError) {
        try makeDirectories()
        try syncNames()
        let reserved = reservedThrough.withLock { $0 }
        let hasReserved = state.withLock { $0.hasReserved }
        if !hasReserved || generation + Self.reservation / 2 > reserved {
            try reserve(through: max(generation, reserved) + Self.reservation)
        }
        // Before the documents: where a copy is found after a crash, nothing older than it is accepted.
        if let known = batch.versions, known != writtenVersions.withLock({ $0 }) {
            let versions = try whole(known)
            for name in Self.versionsFiles {
                try FileIO.replace(name, in: directory, with: [Array(versions.text.utf8)])
            }
            writtenVersions.withLock { $0 = known }
        }
        // The same: what was accepted by name is so when its copy is found.
        if let quarantine = batch.quarantine {
            try FileIO.replace(Self.quarantineFile, in: directory, with: [quarantine.bytes])
        }
        // Those first that lie there already, and are about to be replaced.
        if let record = batch.record { try keepDocuments(of: record) }
        for document in batch.documents.values {
            // Readers wait for them.
            answerLoads()
            let parts = StoredForm.encode(document)
            try FileIO.replace(document.source.text, in: documentDirectory, with: parts, syncsDirectory: false)
            newest.withLock { $0[document.source] = document.id }
        }
        if !batch.documents.isEmpty { try FileIO.syncDirectory(documentDirectory) }
        if let record = batch.record { try write(record, replaced: batch.replaced) }
        if let state = batch.operatorState {
            try FileIO.replace(Self.operatorFile, in: directory, with: [state.bytes])
            pins.withLock { pins in
                pins.written = state.pin?.generation
                pins.mayBeOthers = false
            }
        }
        // After the documents: the names of layers never promise what is not there.
        if let layers = batch.layers, layers != writtenLayers.withLock({ $0 }) {
            let text = Self.layersSignature + layers.map { "\($0)\n" }.joined() + Self.layersEnd
            try FileIO.replace("layers", in: directory, with: [Array(text.utf8)])
            writtenLayers.withLock { $0 = layers }
        }
        pending.withLock { $0.inHand = [:] }
        noteDurable(generation)
        for signal in batch.waiting { signal.raise() }
        guard !pins.withLock({ $0.mayBeOthers }) else { return }
        let retention = retention.withLock { $0 }
        generations.prune(retention, keeping: { pins.withLock { $0.all } }, now: WallClock.nowNanoseconds)
    }

    /// Keeps those documents of a generation that are the newest of their sources on disk.
    private func keepDocuments(of record: GenerationRecord) throws(FileError) {
        for layer in record.layers where !generations.has(layer.source, layer.id) {
            guard newest.withLock({ $0[layer.source] }) == layer.id else { continue }
            try generations.add(layer.source, layer.id, fileAt: documentDirectory + "/" + layer.source.text)
        }
    }

    /// Records a generation, with the documents that it was made of. One of which a document is nowhere any more could not be
    /// gone back to, and is not recorded.
    private func write(_ record: GenerationRecord, replaced: [StoredDocument]) throws(FileError) {
        try keepDocuments(of: record)
        for document in replaced where record.names(document) && !generations.has(document.source, document.id) {
            try generations.add(document)
        }
        guard record.layers.allSatisfy({ generations.has($0.source, $0.id) }) else { return }
        try generations.add(record)
    }

    private func noteSuccess() {
        let hadFailed = state.withLock { state in
            defer { state.failure = nil }
            if state.failure != nil { state.recoveredAt = WallClock.nowNanoseconds }
            return state.failure != nil
        }
        if hadFailed { onChange(nil) }
    }

    private func noteFailure(_ error: FileError) {
        let isNew = state.withLock { state in
            let isNew = state.failure == nil
            state.failure = (error, state.failure?.since ?? WallClock.nowNanoseconds)
            return isNew
        }
        if isNew { onChange(error) }
    }
}

extension GenerationRecord {
    /// Whether it was made of this document, among others.
    fileprivate func names(_ document: StoredDocument) -> Bool {
        layers.contains { $0.source == document.source && $0.id == document.id }
    }
}
