internal import Crypto

@testable import ConfigPublish
@testable import ConfigSnapshot

private let source: SourceName = {
    guard let name = SourceName("app") else { fatalError("not a name") }
    return name
}()

/// The files of the state directory. The input lacks the checksum, or nothing would ever come past it: it is put where it
/// belongs. What is read is the same when it is written and read again, and with one byte changed it is nothing.
func fuzzStore(_ bytes: [UInt8]) {
    guard let mode = bytes.first else { return }
    let rest = Array(bytes.dropFirst())
    if mode == UInt8(ascii: "=") { return checkWritten(rest) }
    let file = withChecksum(rest)
    if let document = try? StoredForm.decode(file, of: source) { check(document, changing: Int(mode)) }
    if let record = GenerationRecord(parsing: file) {
        require(GenerationRecord(parsing: record.bytes) == record, "a generation is another one when read again")
        require(GenerationRecord(parsing: damaged(record.bytes, by: Int(mode))) == nil, "damage to it goes unnoticed")
    }
    if let state = OperatorState(parsing: file) {
        require(OperatorState(parsing: state.bytes) == state, "commands are others when read again")
        require(OperatorState(parsing: damaged(state.bytes, by: Int(mode))) == nil, "damage to them goes unnoticed")
    }
    if let quarantine = Quarantine(parsing: file) {
        require(Quarantine(parsing: quarantine.bytes) == quarantine, "quarantine is another one when read again")
    }
}

private func withChecksum(_ bytes: [UInt8]) -> [UInt8] {
    guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return bytes }
    let body = Array(bytes[(end + 1)...])
    let checksum = ContentDigest(bytes: SHA256.hash(data: body))?.hex ?? ""
    return bytes[...end] + Array("\(checksum)\n".utf8) + body
}

private func damaged(_ bytes: [UInt8], by seed: Int) -> [UInt8] {
    var bytes = bytes
    let place = mixed(bytes) &+ UInt64(bitPattern: Int64(seed))
    bytes[Int(place % UInt64(bytes.count))] ^= UInt8(1 << (place >> 40 & 7))
    return bytes
}

private func check(_ document: StoredDocument, changing seed: Int) {
    let file = Array(StoredForm.encode(document).joined())
    let again = try? StoredForm.decode(file, of: source)
    require(again.map { isSame($0, document) } ?? false, "a document is another one when read again")
    // The form's own number is outside the checksum: with no signature at all both say the same.
    if document.signature?.isEmpty == true { return }
    require((try? StoredForm.decode(damaged(file, by: seed), of: source)) == nil, "damage to it goes unnoticed")
}

private func isSame(_ left: StoredDocument, _ right: StoredDocument) -> Bool {
    left.source == right.source && left.location == right.location && left.body == right.body
        && left.signature == right.signature && left.format == right.format && left.digest == right.digest
        && left.fetchedAt == right.fetchedAt && left.generation == right.generation
        && bytes(of: left.validators) == bytes(of: right.validators)
}

/// Texts are held against one another by their bytes: an origin may compare so.
private func bytes(of validators: Validators) -> [[UInt8]?] {
    [
        validators.etag.map { Array($0.utf8) }, validators.lastModified.map { Array($0.utf8) },
        validators.mirror.map { Array($0.utf8) }, Array("\(validators.areYoung) \(validators.order as Any)".utf8),
    ]
}

/// Whatever somebody has put into them, files say it again.
private func checkWritten(_ input: [UInt8]) {
    let parts = parts(of: input, atMost: 4)
    // As a header's value is: without line breaks, and without space around it.
    let texts = parts.map { part in
        String(decoding: part.filter { $0 >= 0x20 && $0 != 0x7F }.drop { $0 == 0x20 }, as: UTF8.self)
    }
    guard let body = parts.last, let digest = ContentDigest(bytes: SHA256.hash(data: body)) else { return }
    let seed = Int64(bitPattern: mixed(input))
    // Such as an agent writes.
    let (time, generation) = (Int64(mixed(input) % 9_000_000_000_000_000_001), mixed(input) % (.max / 2))
    let document = StoredDocument(
        source: source,
        location: "here",
        body: body,
        signature: parts.count > 3 ? parts[2] : nil,
        format: seed & 1 == 0 ? .json : .yaml,
        validators: Validators(
            etag: texts[0].isEmpty ? nil : texts[0],
            lastModified: parts.count > 2 ? texts[1] : nil,
            areYoung: seed & 2 == 0,
            order: seed & 4 == 0 ? nil : Validators.Order(series: UInt64(bitPattern: seed), number: seed)
        ),
        digest: digest,
        fetchedAt: time,
        generation: generation
    )
    check(document, changing: Int(truncatingIfNeeded: seed))

    // Names and reasons are anybody's.
    let words = parts.map { String(decoding: $0, as: UTF8.self) }
    let actor = Actor(uid: 1, pid: 2, user: words[0].isEmpty ? nil : words[0])
    let command = Command(by: actor, at: time, reason: words.count > 1 ? words[1] : nil)
    let state = OperatorState(pin: OperatorState.Pin(generation: 7, command: command), freeze: command)
    require(OperatorState(parsing: state.bytes) == state, "commands are lost")
    var quarantine = Quarantine()
    _ = quarantine.note(source, digest, reasons: words, count: words.count, at: time)
    if let refused = quarantine.documents.first { _ = quarantine.accept(refused, command) }
    let kept = Quarantine(parsing: quarantine.bytes)?.documents.first
    require(kept?.reasons == words && kept?.accepted == command, "what was refused, and why, is lost")
    let record = GenerationRecord(
        generation: 7,
        publishedAt: time,
        digest: digest,
        keys: 1,
        cause: .rollback(3),
        command: command,
        layers: [.init(source: source, id: document.id, label: "v1", fetchedAt: time)]
    )
    require(GenerationRecord(parsing: record.bytes) == record, "a generation is lost")
}
