public import ConfigSnapshot
internal import Glibc
internal import LockLadder

/// How far back generations are kept. The newest and a pinned one are kept in any case.
public struct Retention: Hashable, Sendable {
    public var count: Int
    /// Nanoseconds.
    public var age: UInt64

    public init(count: Int = 20, age: UInt64 = 30 * 86_400_000_000_000) {
        self.count = count
        self.age = age
    }
}

/// Why a generation's content is not to be had.
public enum GenerationFault: Error, Sendable, Hashable, CustomStringConvertible {
    case notKept(UInt64)
    case document(SourceName, StoredDocumentFault)
    /// It is there, and is not to be used now, for this reason.
    case refused(SourceName, String)

    public var description: String {
        switch self {
        case .notKept(let generation): "generation \(generation) is not kept"
        case .document(let source, let fault): "its document of source '\(source)' cannot be used: \(fault)"
        case .refused(let source, let why): "its document of source '\(source)' is refused: \(why)"
        }
    }
}

/// The generations that can be gone back to: a record of each, and the documents that they were made of.
///
/// Changed by the store's thread alone; read by any.
final class GenerationStore: Sendable {
    private struct State {
        /// Oldest first.
        var records: [GenerationRecord] = []
        /// Names of the files with documents.
        var documents: Set<String> = []
        /// Why there may be records that could not be read: then nothing is forgotten that they may name.
        var fault: FileError?
    }

    private let recordDirectory: String
    private let documentDirectory: String
    private let state = Mutex("store.generations", State())

    init(directory: String) {
        recordDirectory = directory + "/generations"
        documentDirectory = directory + "/history"
    }

    /// Oldest first.
    var records: [GenerationRecord] { state.withLock { $0.records } }

    private static func name(_ source: SourceName, _ id: DocumentID) -> String { "\(source).\(id)" }

    func makeDirectories() throws(FileError) {
        try FileIO.makeDirectory(recordDirectory)
        try FileIO.makeDirectory(documentDirectory)
    }

    func syncNames() throws(FileError) {
        for path in [recordDirectory, documentDirectory] { try FileIO.syncDirectory(path) }
    }

    /// Why not all records are known.
    var fault: FileError? { state.withLock { $0.fault } }

    /// Reads the records. One that is damaged is set aside; one that cannot be read now is not used now.
    ///
    /// - Throws: when it cannot even be told which there are.
    func open() throws(FileError) {
        do throws(FileError) {
            // What a crash has left half done is nobody's.
            for directory in [recordDirectory, documentDirectory] {
                for name in try FileIO.names(in: directory) where name.hasPrefix(".") { unlink(directory + "/" + name) }
            }
            try readRecords()
        } catch {
            state.withLock { $0.fault = error }
            throw error
        }
    }

    private func readRecords() throws(FileError) {
        var records: [GenerationRecord] = []
        var fault: FileError?
        for name in try FileIO.names(in: recordDirectory) where name.allSatisfy(\.isNumber) {
            let path = recordDirectory + "/" + name
            do throws(FileError) {
                let bytes = try FileIO.read(path, limit: 64 << 20)
                if let record = GenerationRecord(parsing: bytes), "\(record.generation)" == name {
                    records.append(record)
                } else {
                    FileIO.setAside(path)
                }
            } catch {
                if error.isPassing { fault = error } else { FileIO.setAside(path) }
            }
        }
        records.sort { $0.generation < $1.generation }
        let documents = Set(try FileIO.names(in: documentDirectory))
        // After a power cut one may be back whose documents have been forgotten.
        records.removeAll { record in
            !record.layers.allSatisfy { documents.contains(Self.name($0.source, $0.id)) }
        }
        state.withLock { $0 = State(records: records, documents: documents, fault: fault) }
    }

    /// The record of the content that `generation` had.
    func record(of generation: UInt64) -> GenerationRecord? {
        records.last { $0.has(generation) }
    }

    func has(_ source: SourceName, _ id: DocumentID) -> Bool {
        state.withLock { $0.documents.contains(Self.name(source, id)) }
    }

    /// Reads a document. One that is damaged is set aside, so that it is kept anew when it comes again.
    func document(_ source: SourceName, _ id: DocumentID) throws(StoredDocumentFault) -> StoredDocument {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try FileIO.read(documentDirectory + "/" + Self.name(source, id), limit: StoredForm.largestFile)
        } catch {
            // Somebody has taken it away: it is to be kept anew when it comes again.
            if error.isMissing { state.withLock { _ = $0.documents.remove(Self.name(source, id)) } }
            throw .file(error)
        }
        do throws(StoredDocumentFault) {
            let document = try StoredForm.decode(bytes, of: source)
            guard document.id == id else { throw .incomplete("name") }
            return document
        } catch {
            FileIO.setAside(documentDirectory + "/" + Self.name(source, id))
            state.withLock { _ = $0.documents.remove(Self.name(source, id)) }
            throw error
        }
    }

    // MARK: On the store's thread

    /// Keeps the document that lies at `path`: the file itself is in both places.
    func add(_ source: SourceName, _ id: DocumentID, fileAt path: String) throws(FileError) {
        let name = Self.name(source, id)
        let temporary = "\(documentDirectory)/.\(name).tmp"
        unlink(temporary)
        guard link(path, temporary) == 0 else {
            // A file system without such links, or with too many of this one: a copy is as good.
            let bytes = try FileIO.read(path, limit: StoredForm.largestFile)
            return try add(name, [bytes])
        }
        guard rename(temporary, documentDirectory + "/" + name) == 0 else {
            let code = errno
            unlink(temporary)
            throw FileError(operation: "rename", path: temporary, code: code)
        }
        // Where both were one file already, both are still there.
        unlink(temporary)
        state.withLock { _ = $0.documents.insert(name) }
    }

    /// Keeps a document that lies nowhere yet.
    func add(_ document: StoredDocument) throws(FileError) {
        try add(Self.name(document.source, document.id), StoredForm.encode(document))
    }

    private func add(_ name: String, _ parts: [[UInt8]]) throws(FileError) {
        try FileIO.replace(name, in: documentDirectory, with: parts, syncsDirectory: false)
        state.withLock { _ = $0.documents.insert(name) }
    }

    /// Notes a generation whose documents have been added. On return it is on disk.
    func add(_ record: GenerationRecord) throws(FileError) {
        try FileIO.syncDirectory(documentDirectory)
        try FileIO.replace("\(record.generation)", in: recordDirectory, with: [record.bytes])
        state.withLock { state in
            state.records.removeAll { $0.generation == record.generation }
            state.records.append(record)
            state.records.sort { $0.generation < $1.generation }
        }
    }

    /// Forgets what need not be kept any more.
    ///
    /// - Parameters:
    ///   - pinned: generations to be kept in any case. Called under the lock; must not take another one but its own.
    ///   - now: nanoseconds since 1970.
    func prune(_ retention: Retention, keeping pinned: () -> Set<UInt64>, now: Int64) {
        let (dropped, unused) = state.withLock { state in
            guard state.fault == nil else { return (Set<UInt64>(), Set<String>()) }
            // Here, so that whoever wants one to be kept has said so before, or does not find it any more.
            let pinned = pinned()
            let newest = state.records.suffix(max(1, retention.count))
            let oldest = now - Int64(clamping: retention.age)
            // Its age is how long it has been in use no more: what was in use for long is what one goes back to.
            let replacedAt = state.records.dropFirst().map(\.publishedAt) + [.max]
            let kept = zip(state.records, replacedAt).filter { record, replacedAt in
                let isPinned = pinned.contains { record.has($0) }
                let isNewest = record.generation == state.records.last?.generation
                let isRecent = newest.contains { $0.generation == record.generation } && replacedAt >= oldest
                return isPinned || isNewest || isRecent
            }.map(\.0)
            let used = Set(kept.flatMap { $0.layers.map { Self.name($0.source, $0.id) } })
            let dropped = Set(state.records.map(\.generation)).subtracting(kept.map(\.generation))
            let unused = state.documents.subtracting(used)
            state.records = kept
            state.documents.subtract(unused)
            return (dropped, unused)
        }
        // The records first: none of them ever names a document that is not there.
        for generation in dropped { unlink("\(recordDirectory)/\(generation)") }
        for name in unused { unlink(documentDirectory + "/" + name) }
    }
}
