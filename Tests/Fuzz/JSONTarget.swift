@testable import ConfigDecode
@testable import ConfigSnapshot

private let maxDepth = 64

/// Three readers go through a document: one that only checks, one that builds a tree, one that builds a table. They agree,
/// and what was read says the same when it is written and read again.
func fuzzJSON(_ bytes: [UInt8]) {
    let read = Reading(bytes, as: .json)
    read.checkAgreement()
    guard let tree = read.tree else { return }
    require(Reading(tree.json, as: .json).tree?.saysTheSame(as: tree) == true, "a tree is another one when read again")
    if let table = read.table { checkTable(table) }
}

/// A document as each of the readers takes it.
struct Reading {
    let format: DocumentFormat
    var tree: DocumentNode?
    var table: LeafTable?
    private var scanError: DecodeError?
    private var treeError: DecodeError?
    private var tableError: DecodeError?

    init(_ bytes: [UInt8], as format: DocumentFormat, maxDepth: Int = maxDepth) {
        self.format = format
        var scan = ScanSink()
        do throws(DecodeError) { try Self.parse(bytes, format, maxDepth, &scan) } catch { scanError = error }
        do throws(DecodeError) { tree = try DocumentNode.parse(bytes, as: format, maxDepth: maxDepth) } catch {
            treeError = error
        }
        let limits = TableBuilder.Limits(bodySize: bytes.count, maxKeys: 1_000_000)
        var builder = TableBuilder(limits: limits, expectedSize: bytes.count)
        do throws(DecodeError) {
            try Self.parse(bytes, format, maxDepth, &builder)
            table = builder.table()
        } catch {
            tableError = error
        }
    }

    private static func parse(
        _ bytes: [UInt8],
        _ format: DocumentFormat,
        _ maxDepth: Int,
        _ sink: inout some DocumentSink
    ) throws(DecodeError) {
        switch format {
        case .json: try JSONParser.parse(bytes, maxDepth: maxDepth, into: &sink)
        case .yaml: try YAMLParser.parse(bytes, maxDepth: maxDepth, into: &sink)
        }
    }

    /// What is no document for the one that only checks is none for the others; they may find more, and find it sooner.
    func checkAgreement() {
        let moreOfTree: Set<DecodeError.Code> = [.duplicateKey]
        let moreOfTable: Set<DecodeError.Code> = [.duplicateKey, .notAnObject, .tooLarge]
        for (error, more) in [(treeError, moreOfTree), (tableError, moreOfTable)] {
            guard error != scanError else { continue }
            require(error.map { more.contains($0.code) } ?? false, "\(scanError as Any) is \(error as Any) elsewhere")
        }
        if case .mapping? = tree?.kind {
            require(tableError == nil || tableError?.code == .tooLarge, "a tree, but no table: \(tableError as Any)")
        } else {
            require(table == nil, "a table, but no tree of members")
        }
    }
}

/// A table is the same when it is written and read again, laid over itself, and asked for each of its keys.
private func checkTable(_ table: LeafTable) {
    let written = ObjectWriter.json(of: table, range: 0..<table.count, below: 0)
    let again = Reading(written, as: .json).table
    require(again?.saysTheSame(as: table) == true, "a table is another one when read again")
    let merged = LayerMerge([table, table])
    require(merged.table.saysTheSame(as: table), "a table laid over itself is another one")
    guard let digest = ContentDigest(bytes: [UInt8](repeating: 0, count: 32)), let name = SourceName("a") else {
        return
    }
    let revision = SourceRevision(source: name, digest: digest, validators: .none, fetchedAt: 0, traceID: "")
    let snapshot = Snapshot(
        generation: 1,
        merged: merged,
        digest: digest,
        publishedAt: 0,
        sources: [revision, revision]
    )
    for leaf in table.leaves {
        let value = snapshot.value(at: table.key(leaf))?.json
        require(value?.elementsEqual(table.value(leaf)) == true, "a key is not found: \(table.key(leaf))")
    }
}

extension LeafTable {
    fileprivate func saysTheSame(as other: LeafTable) -> Bool {
        count == other.count
            && zip(leaves, other.leaves).allSatisfy {
                bytes[$0.key].elementsEqual(other.bytes[$1.key]) && value($0).elementsEqual(other.value($1))
            }
    }
}

extension DocumentNode {
    /// Wherever it stands.
    func saysTheSame(as other: DocumentNode) -> Bool {
        switch (kind, other.kind) {
        case (.scalar(let one), .scalar(let two)): one == two
        case (.sequence(let one), .sequence(let two)):
            one.count == two.count && zip(one, two).allSatisfy { $0.saysTheSame(as: $1) }
        case (.mapping(let one), .mapping(let two)):
            one.count == two.count
                && zip(one, two).allSatisfy {
                    $0.name.utf8.elementsEqual($1.name.utf8) && $0.node.saysTheSame(as: $1.node)
                }
        default: false
        }
    }

    var json: [UInt8] {
        var bytes: [UInt8] = []
        write(to: &bytes)
        return bytes
    }

    private func write(to bytes: inout [UInt8]) {
        func list<Item>(_ items: [Item], _ open: String, _ close: String, _ write: (Item, inout [UInt8]) -> Void) {
            bytes += open.utf8
            for (index, item) in items.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                write(item, &bytes)
            }
            bytes += close.utf8
        }
        switch kind {
        case .scalar(.null): bytes += "null".utf8
        case .scalar(.bool(let value)): bytes += "\(value)".utf8
        case .scalar(.number(let text)): bytes += text
        case .scalar(.string(let text)): JSONText.appendString(text, to: &bytes)
        case .sequence(let items): list(items, "[", "]") { $0.write(to: &$1) }
        case .mapping(let members):
            list(members, "{", "}") { member, bytes in
                JSONText.appendString(member.name.utf8, to: &bytes)
                bytes.append(UInt8(ascii: ":"))
                member.node.write(to: &bytes)
            }
        }
    }
}
