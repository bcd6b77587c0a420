/// A dotted key that remembers where it was found last, for whoever reads the same value again and again:
///
///     var timeout = RememberedKey("service.timeout")
///     reader.withSnapshot { snapshot in snapshot.leafIndex(of: &timeout) }
///
/// Keep one for each key and thread, beside the reader. It may be used with any snapshots, of any agent, in any order;
/// only with the one used last it is faster than a `String`.
public struct RememberedKey: Sendable {
    public let text: String
    /// Of the snapshot that `position` is about; 0 for none.
    @usableFromInline var identity: UInt64 = 0
    /// -1 where that snapshot has no leaf at the key.
    @usableFromInline var position = -1

    public init(_ text: String) { self.text = text }
}
