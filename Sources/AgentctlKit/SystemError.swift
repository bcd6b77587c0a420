internal import Glibc

/// The system's words for an error number.
public enum SystemError {
    /// `No such file or directory` and the like.
    public static func text(_ code: Int32) -> String {
        // SAFETY: copied at once; the text is the C library's and never null.
        strerror(code).map { String(cString: $0) } ?? "error \(code)"
    }
}
