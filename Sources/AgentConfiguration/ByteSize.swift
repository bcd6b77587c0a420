/// Sizes in bytes as the agent's configuration writes them.
enum ByteSize {
    private static let units: [(name: String, bytes: Int)] = [
        ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10),
        ("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000), ("KB", 1000), ("B", 1),
    ]

    /// Reads `4096`, `16KiB` (binary) or `1MB` (decimal).
    static func parse(_ text: String) throws(SettingProblem) -> Int {
        let digits = text.utf8.prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        let name = String(text.utf8[digits.endIndex...]) ?? ""
        let unit = name.isEmpty ? 1 : units.first { $0.name == name }?.bytes
        guard !digits.isEmpty, let unit else {
            throw SettingProblem(
                "\(shown(text)) is not a size",
                "write it as in 4096, 16KiB, 16MiB or 1GiB; kB, MB and GB are decimal"
            )
        }
        guard let count = Int(Substring(digits)), !count.multipliedReportingOverflow(by: unit).overflow else {
            throw SettingProblem("\(shown(text)) is too large a size", "write a smaller one")
        }
        return count * unit
    }

    /// `bytes` with the largest unit that leaves a whole number.
    static func text(_ bytes: Int) -> String {
        for unit in units where unit.name.hasSuffix("iB") && bytes >= unit.bytes && bytes % unit.bytes == 0 {
            return "\(bytes / unit.bytes)\(unit.name)"
        }
        return "\(bytes)"
    }
}
