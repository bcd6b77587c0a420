internal import CSystemd
internal import ConfigSnapshot
internal import Glibc

/// Where records go: journald with all their fields, or readable lines on standard error.
enum JournalSink: Sendable {
    case journald
    case standardError

    /// journald, if and only if it is what our standard error is connected to. Started by hand, an agent talks to the
    /// person who started it.
    static func detect() -> JournalSink {
        // SAFETY: getenv's result is copied at once; nobody changes the environment while the process starts.
        guard let stream = getenv("JOURNAL_STREAM").map({ String(cString: $0) }) else { return .standardError }
        var status = stat()
        guard fstat(STDERR_FILENO, &status) == 0 else { return .standardError }
        return stream == "\(status.st_dev):\(status.st_ino)" ? .journald : .standardError
    }

    /// Sends one record; may wait for as long as the receiver makes it.
    ///
    /// - Returns: `false` when it did not get there.
    func send(_ record: JournalRecord) -> Bool {
        switch self {
        case .journald: Self.sendNative(record)
        case .standardError: Self.write(Self.line(record, at: WallClock.nowNanoseconds))
        }
    }

    private static func sendNative(_ record: JournalRecord) -> Bool {
        var lines = ["MESSAGE=\(record.message)", "PRIORITY=\(record.level.rawValue)", "SYSLOG_IDENTIFIER=agent"]
        if let id = record.id { lines.append("MESSAGE_ID=\(id.rawValue)") }
        for field in record.fields { lines.append("\(field.name)=\(field.value)") }
        // One block for all lines, so that one pointer stays valid for the whole call.
        var bytes: [UInt8] = []
        var ranges: [Range<Int>] = []
        for line in lines {
            let start = bytes.count
            bytes.append(contentsOf: line.utf8)
            ranges.append(start..<bytes.count)
        }
        return bytes.withUnsafeMutableBytes { raw in
            let vectors = ranges.map { range in
                iovec(iov_base: raw.baseAddress.map { $0 + range.lowerBound }, iov_len: range.count)
            }
            return sd_journal_sendv(vectors, Int32(vectors.count)) == 0
        }
    }

    /// `2026-11-22 14:03:07.250Z warning message  AGENT_LOCK=… …`
    static func line(_ record: JournalRecord, at time: Int64) -> String {
        var seconds = time_t(time / 1_000_000_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func pad(_ value: Int, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let day = "\(1900 + Int(parts.tm_year))-\(pad(Int(parts.tm_mon) + 1, 2))-\(pad(Int(parts.tm_mday), 2))"
        let clock = "\(pad(Int(parts.tm_hour), 2)):\(pad(Int(parts.tm_min), 2)):\(pad(Int(parts.tm_sec), 2))"
        let milliseconds = pad(Int(time / 1_000_000 % 1_000), 3)
        let level = record.level.name + String(repeating: " ", count: 7 - record.level.name.count)
        var text = "\(day) \(clock).\(milliseconds)Z \(level) \(Self.oneLine(record.message))"
        // What the message says already, and what only journald can use, is left out.
        let shown = record.fields.filter { field in
            field.name.hasPrefix("AGENT_") && !["AGENT_EVENT", "AGENT_ERROR", "AGENT_STAGE"].contains(field.name)
        }
        if !shown.isEmpty {
            text += "  " + shown.map { "\($0.name)=\(Self.quoted($0.value))" }.joined(separator: " ")
        }
        return text + "\n"
    }

    /// A message stays one line and moves no cursor, whatever a source sent.
    private static func oneLine(_ message: String) -> String {
        message.unicodeScalars.reduce(into: "") { text, scalar in
            text += scalar.properties.generalCategory == .control ? scalar.escaped(asASCII: true) : String(scalar)
        }
    }

    /// One line stays one line, whatever a source sent.
    private static func quoted(_ value: String) -> String {
        let isPlain = !value.isEmpty && value.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "\"") }
        if isPlain { return value }
        var bytes: [UInt8] = []
        JSONText.appendString(value.utf8, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func write(_ line: String) -> Bool {
        var rest = Array(line.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                return false
            }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
