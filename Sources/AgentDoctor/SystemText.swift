internal import Glibc

/// The system's words and small facts, copied out at once.
enum SystemText {
    /// `No such file or directory` and the like.
    static func error(_ code: Int32) -> String {
        // SAFETY: copied at once; the text is the C library's and never null.
        strerror(code).map { String(cString: $0) } ?? "error \(code)"
    }

    /// The name of this host, from the characters that a file's name can hold anywhere.
    static var hostName: String {
        var names = utsname()
        guard uname(&names) == 0 else { return "host" }
        let name = text(names.nodename)
        let safe = name.filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == ".") }
        return !safe.isEmpty && !safe.hasPrefix(".") ? String(safe.prefix(64)) : "host"
    }

    /// The text in a field of bytes that ends with a zero.
    static func text(_ field: some Any) -> String {
        // SAFETY: nothing outside the field's own bytes is read.
        withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// A mode as `chmod` takes it.
    static func octal(_ mode: UInt32) -> String {
        let digits = String(mode & 0o7777, radix: 8)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// `12 MiB` and the like, rounded down.
    static func size(_ bytes: UInt64) -> String {
        for (unit, name) in [(UInt64(1) << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] where bytes >= unit {
            return "\(bytes / unit) \(name)"
        }
        return "\(bytes) bytes"
    }

    static func plural(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
}
