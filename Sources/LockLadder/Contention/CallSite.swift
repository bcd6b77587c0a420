/// Where in the source a lock was taken, in one machine word.
///
/// The address of the file's name lies in the low 48 bits, the line in the high 16. One word can be stored and read
/// atomically, so a waiter may look at the holder's site while the holder changes it. User addresses fit into 48
/// bits on x86-64 and arm64 as Linux hands them out.
public struct CallSite: Sendable, Hashable {
    public let word: UInt

    @inlinable
    @inline(__always)
    public init(fileID: StaticString, line: UInt) {
        unsafe word = UInt(bitPattern: fileID.utf8Start) | min(line, 0xFFFF) << 48
    }

    @inlinable
    init(word: UInt) { self.word = word }

    /// No site: nobody has taken the lock yet.
    public static let none = CallSite(word: 0)

    /// `Module/File.swift`; empty for ``none``.
    public var file: String {
        let address = word & 0xFFFF_FFFF_FFFF
        guard let start = unsafe UnsafePointer<CChar>(bitPattern: address) else { return "" }
        // SAFETY: the address is that of a `StaticString` literal, which ends in a NUL and lives as long as the process.
        return unsafe String(cString: start)
    }

    /// Counted from 1; lines past 65,535 are told as 65,535.
    public var line: UInt { word >> 48 }
}

extension CallSite: CustomStringConvertible {
    /// `Module/File.swift:12`
    public var description: String { self == .none ? "-" : "\(file):\(line)" }
}
