/// The keys in which two versions of the configuration differ: set, changed or removed, in key order.
///
/// Only the names are kept. Whoever wants the values looks them up in the newest snapshot, so a list of several
/// changes can be told as one.
public struct ChangedKeys: Sendable {
    /// More changes than this are not listed one by one.
    public static let most = 4_096

    /// The keys, back to back.
    private var bytes: [UInt8] = []
    /// Where each key ends in `bytes`.
    private var ends: [Int] = []
    /// Whether these are all.
    public private(set) var isWhole = true

    /// - Returns: `nil` when there are more than ``most``.
    public init?(from old: LeafTable, to new: LeafTable) {
        self.init(from: old, to: new, most: Self.most)
        guard isWhole else { return nil }
    }

    /// The first `most` of them.
    public init(from old: LeafTable, to new: LeafTable, most: Int) {
        var left = 0
        var right = 0
        while left < old.count || right < new.count {
            let order = Self.order(old, left, new, right)
            if order == 0, old.value(old.leaves[left]) != new.value(new.leaves[right]) {
                append(new, right)
            } else if order < 0 {
                append(old, left)
            } else if order > 0 {
                append(new, right)
            }
            if order <= 0 { left += 1 }
            if order >= 0 { right += 1 }
            guard ends.count <= most else {
                isWhole = false
                return
            }
        }
    }

    private static func order(_ old: LeafTable, _ left: Int, _ new: LeafTable, _ right: Int) -> Int {
        guard left < old.count else { return 1 }
        guard right < new.count else { return -1 }
        return old.bytes.withUnsafeBytes { l in
            new.bytes.withUnsafeBytes { r in
                DottedKey.compare(.init(rebasing: l[old.leaves[left].key]), .init(rebasing: r[new.leaves[right].key]))
            }
        }
    }

    private mutating func append(_ table: LeafTable, _ position: Int) {
        bytes.append(contentsOf: table.bytes[table.leaves[position].key])
        ends.append(bytes.count)
    }

    public var count: Int { ends.count }

    /// The memory that the list takes, roughly.
    public var size: Int { bytes.count + 8 * ends.count }

    /// The keys at or below `ancestor`; all of them for the empty key.
    public func keys(atOrBelow ancestor: [UInt8]) -> [[UInt8]] {
        var found: [[UInt8]] = []
        bytes.withUnsafeBytes { raw in
            ancestor.withUnsafeBytes { wanted in
                var start = 0
                for end in ends {
                    let key = UnsafeRawBufferPointer(rebasing: raw[start..<end])
                    start = end
                    guard wanted.isEmpty || key.elementsEqual(wanted) || DottedKey.isBelow(key, wanted) else {
                        continue
                    }
                    found.append(Array(key))
                }
            }
        }
        return found
    }
}
