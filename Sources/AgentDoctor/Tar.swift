/// Writes files as a tar archive (POSIX ustar).
struct Tar {
    private static let block = 512

    /// The archive so far; ``finish()`` ends it.
    private(set) var bytes: [UInt8] = []
    /// The directory that all files are in.
    let directory: String
    /// When all of them were made, in seconds since 1970.
    let time: Int64

    /// - Parameter directory: at most 155 bytes.
    init(directory: String, time: Int64) {
        self.directory = directory
        self.time = time
    }

    /// Adds a file that only its owner may read.
    ///
    /// - Parameter name: its path in the directory, at most 100 bytes.
    mutating func add(_ name: String, _ content: [UInt8]) {
        bytes += header(name, size: content.count)
        bytes += content
        let rest = content.count % Self.block
        if rest > 0 { bytes += [UInt8](repeating: 0, count: Self.block - rest) }
    }

    /// Two empty blocks end an archive.
    mutating func finish() {
        bytes += [UInt8](repeating: 0, count: 2 * Self.block)
    }

    private func header(_ name: String, size: Int) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: Self.block)
        func put(_ text: String, at offset: Int, width: Int) {
            for (index, byte) in text.utf8.prefix(width).enumerated() { header[offset + index] = byte }
        }
        func octal(_ value: Int64, _ digits: Int) -> String {
            let text = String(max(0, value), radix: 8)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        put(name, at: 0, width: 100)
        put(octal(0o600, 7), at: 100, width: 7)
        put(octal(0, 7), at: 108, width: 7)
        put(octal(0, 7), at: 116, width: 7)
        put(octal(Int64(size), 11), at: 124, width: 11)
        put(octal(time, 11), at: 136, width: 11)
        put("0", at: 156, width: 1)
        put("ustar\u{0}00", at: 257, width: 8)
        put("root", at: 265, width: 32)
        put("root", at: 297, width: 32)
        put(directory, at: 345, width: 155)
        // The sum is taken with spaces in its own place.
        put(String(repeating: " ", count: 8), at: 148, width: 8)
        let sum = header.reduce(0) { $0 + Int64($1) }
        put(octal(sum, 6) + "\u{0} ", at: 148, width: 8)
        return header
    }
}
