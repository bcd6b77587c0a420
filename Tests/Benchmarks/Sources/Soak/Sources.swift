import BenchKit
import Foundation

/// All places where documents come from, and the threads that change them.
final class Sources: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: nothing of it changes but what has a lock of its own.
    let directory: URL
    let signer: Signer
    let etcd: EtcdStore?
    let ledger: Ledger
    let names: [String]
    private let shelves: [String: Shelf]
    /// By place; `mirror` is another place of `plain`.
    let origins: [String: Origin]
    /// Held by whoever has a source do wrong, or change: a document is made in peace.
    let turns: [String: NSLock]
    private let paused = Paused()
    /// Held for a moment by whoever puts a document in its place, right or wrong.
    private let making: [String: NSRecursiveLock]

    private final class Paused: @unchecked Sendable {
        private let lock = NSLock()
        private var names: Set<String> = []
        func set(_ name: String, _ isPaused: Bool) {
            lock.withLock { _ = isPaused ? names.insert(name).inserted : names.remove(name) != nil }
        }
        func contains(_ name: String) -> Bool { lock.withLock { names.contains(name) } }
    }

    static let layers = ["signed", "plain", "file"]

    init(in directory: URL, signer: Signer, etcd: EtcdStore?, ledger: Ledger) throws {
        self.directory = directory
        self.signer = signer
        self.etcd = etcd
        self.ledger = ledger
        names = Self.layers + ["demand"] + (etcd == nil ? [] : ["etcd"])
        shelves = Dictionary(uniqueKeysWithValues: names.map { ($0, Shelf()) })
        turns = Dictionary(uniqueKeysWithValues: names.map { ($0, NSLock()) })
        making = Dictionary(uniqueKeysWithValues: names.map { ($0, NSRecursiveLock()) })
        origins = [
            "signed": try Origin(shelves["signed"] ?? Shelf()), "plain": try Origin(shelves["plain"] ?? Shelf()),
            "mirror": try Origin(shelves["plain"] ?? Shelf()), "demand": try Origin(shelves["demand"] ?? Shelf()),
        ]
        for name in names { try change(name) }
        try Data("{\"extra\":{\"here\":true}}".utf8).write(
            to: directory.appending(path: "extra.json"),
            options: .atomic
        )
    }

    func shelf(_ name: String) -> Shelf { shelves[name] ?? Shelf() }
    var file: URL { directory.appending(path: "file.json") }

    func stop() {
        for origin in origins.values { origin.stop() }
        etcd?.stop()
    }

    // MARK: Change

    /// A new document of a source, and nothing wrong with it.
    func change(_ name: String) throws {
        let document = Document(source: name, number: shelf(name).nextNumber())
        var offer = Shelf.Offer(number: document.number, body: document.json)
        if name == "signed" {
            offer.signature = try signer.signature(of: offer.body, version: document.number)
        }
        switch name {
        case "file": try Data(offer.body).write(to: file, options: .atomic)
        case "etcd": try etcd?.put(document.members.map { ("/soak/etcd/\($0.name)", $0.text) })
        default: break
        }
        // In this order: what is offered can be had.
        shelf(name).add(offer)
        ledger.offered(name, document.number)
    }

    /// - Parameter pace: seconds between two changes, asked anew each time.
    func keepChanging(_ name: String, _ crew: Crew, pace: @Sendable () -> Double) throws {
        while crew.pause(pace() * Double.random(in: 0.7...1.3)) {
            try making[name]?.withLock {
                if !paused.contains(name) { try change(name) }
            }
        }
    }

    /// While it lasts no new document of the source appears.
    func pause(_ name: String, _ isPaused: Bool) { paused.set(name, isPaused) }

    // MARK: Wrong

    /// - Returns: the document that is given in place of the newest one, where there is one.
    func begin(_ kind: FaultKind, of name: String) throws -> Shelf.Offer? {
        try making[name]?.withLock { try cause(kind, of: name) } ?? nil
    }

    private func cause(_ kind: FaultKind, of name: String) throws -> Shelf.Offer? {
        ledger.faultBegan(name, isFailure: kind.isFailure)
        switch kind {
        case .missing:
            pause(name, true)
            unlink(file.path)
        case .halfWritten, .notJSON:
            pause(name, true)
            let body = shelf(name).newest?.body ?? []
            let bytes = kind == .notJSON ? Array("not JSON".utf8) : Array(body.prefix(body.count / 2))
            try Data(bytes).write(to: file)
        case .away:
            pause(name, true)
            etcd?.stop()
        default:
            let offer = try wrongOffer(kind, of: name)
            // Where the first place fails for itself the other one goes on; where it lags, it has an old document.
            let here: FaultKind = kind == .mirrorLags ? .serverError : kind
            origins[name]?.set(Origin.Fault(kind: here, offer: offer))
            if name == "plain", kind != .onlyPrimary {
                let there: FaultKind = kind == .mirrorLags ? .older : kind
                origins["mirror"]?.set(Origin.Fault(kind: there, offer: offer))
            }
            return offer
        }
        return nil
    }

    /// Nothing is wrong any more, and there is a new document.
    func end(_ kind: FaultKind, of name: String) throws {
        try making[name]?.withLock {
            if kind == .away { try etcd?.start() }
            origins[name]?.set(nil)
            if name == "plain" { origins["mirror"]?.set(nil) }
            try change(name)
            pause(name, false)
            ledger.faultEnded(name)
        }
    }

    private func wrongOffer(_ kind: FaultKind, of name: String) throws -> Shelf.Offer? {
        func made(_ mark: Document.Mark) -> Shelf.Offer {
            let document = Document(source: name, number: shelf(name).nextNumber(), mark: mark)
            return Shelf.Offer(number: document.number, body: document.json)
        }
        switch kind {
        case .forged:
            var offer = made(.forged)
            offer.signature = shelf(name).newest?.signature
            return offer
        case .otherKey:
            var offer = made(.forged)
            offer.signature = try signer.signature(of: offer.body, version: offer.number, key: "other")
            return offer
        case .unsigned: return made(.forged)
        case .older, .mirrorLags: return shelf(name).older
        case .breaksRule, .failsCheck, .hangsCheck:
            // Newer than all others as long as it is there.
            pause(name, true)
            return made(kind == .breaksRule ? .refused : kind == .failsCheck ? .rejected : .hanging)
        default: return nil
        }
    }
}
