/// The keys that are believed at one time.
public struct KeyRing: Hashable, Sendable {
    public private(set) var keys: [KeyID: PublicKey] = [:]
    /// Keys whose signatures are worth nothing any more, whether they are known or not.
    public private(set) var revoked: Set<KeyID> = []

    public init(keys: [PublicKey] = [], revoked: Set<KeyID> = []) {
        for key in keys { self.keys[key.id] = key }
        self.revoked = revoked
    }

    /// Known and not revoked.
    public var trusted: Set<KeyID> { Set(keys.keys).subtracting(revoked) }

    /// As many as a directory may hold.
    public static let mostKeys = 256

    /// Reads a list of revoked keys: an id in each line; what follows a `#` is for people.
    public static func revocations(in text: String) throws(TrustError) -> Set<KeyID> {
        var revoked: Set<KeyID> = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let word = line.prefix { $0 != "#" }.filter { !$0.isWhitespace }
            if word.isEmpty { continue }
            guard let key = KeyID(word.lowercased()) else {
                throw TrustError("line \(index + 1) is not a key's id: 32 hexadecimal digits")
            }
            revoked.insert(key)
        }
        return revoked
    }
}
