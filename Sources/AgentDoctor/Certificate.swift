/// As much of PEM and DER as it takes to know what a file holds and until when it is good.
enum Certificate {
    /// The labels of the PEM blocks in a file, in order: `CERTIFICATE`, `PRIVATE KEY` and so on.
    static func labels(in pem: String) -> [String] { blocks(in: pem).map(\.label) }

    /// When each certificate in a file ends, in seconds since 1970; those that make no sense are left out.
    static func ends(in pem: String) -> [Int64] {
        blocks(in: pem).filter { $0.label == "CERTIFICATE" || $0.label == "TRUSTED CERTIFICATE" }
            .compactMap { notAfter(der: $0.bytes) }
    }

    private static func blocks(in pem: String) -> [(label: String, bytes: [UInt8])] {
        var blocks: [(label: String, bytes: [UInt8])] = []
        var open: (label: Substring, text: [UInt8])?
        for line in pem.split(whereSeparator: \.isNewline) {
            if line.hasPrefix("-----BEGIN "), let end = line.range(ofSuffix: "-----") {
                open = (line[..<end].dropFirst(11), [])
            } else if line.hasPrefix("-----END ") {
                if let block = open { blocks.append((String(block.label), base64(block.text))) }
                open = nil
            } else {
                open?.text += Array(line.utf8)
            }
        }
        return blocks
    }

    static func base64(_ text: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in text {
            guard let value = value(byte) else { continue }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return bytes
    }

    private static func value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }

    // MARK: DER

    /// Certificate → TBSCertificate → [0] version, serial, algorithm, issuer, validity → notBefore, notAfter.
    static func notAfter(der bytes: [UInt8]) -> Int64? {
        var certificate = Elements(bytes[...])
        guard var outer = certificate.next(tag: 0x30), var inside = outer.next(tag: 0x30) else { return nil }
        if inside.peek == 0xA0 { _ = inside.next(tag: 0xA0) }
        guard inside.next(tag: 0x02) != nil, inside.next(tag: 0x30) != nil, inside.next(tag: 0x30) != nil,
            var validity = inside.next(tag: 0x30), validity.nextAny() != nil, let end = validity.nextAny()
        else { return nil }
        return time(tag: end.tag, String(decoding: end.content, as: UTF8.self))
    }

    /// UTCTime has two digits for the year, GeneralizedTime four; both end with `Z` in certificates.
    private static func time(tag: UInt8, _ text: String) -> Int64? {
        let digits = text.utf8.dropLast().map { Int($0) - 48 }
        guard text.hasSuffix("Z"), digits.allSatisfy({ (0...9).contains($0) }) else { return nil }
        let pairs = stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] * 10 + digits[$0 + 1] }
        switch (tag, pairs.count) {
        case (0x17, 6): return seconds(pairs[0] + (pairs[0] < 50 ? 2000 : 1900), pairs[1...])
        case (0x18, 7): return seconds(pairs[0] * 100 + pairs[1], pairs[2...])
        default: return nil
        }
    }

    private static func seconds(_ year: Int, _ rest: ArraySlice<Int>) -> Int64? {
        let parts = Array(rest)
        guard parts.count == 5, (1...12).contains(parts[0]) else { return nil }
        // Years from March, so that a leap day is the last day of its year.
        let shifted = parts[0] <= 2 ? year - 1 : year
        let month = (parts[0] + 9) % 12
        let days =
            shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + (153 * month + 2) / 5 + parts[1] - 719_469
        return Int64(days * 86_400 + parts[2] * 3600 + parts[3] * 60 + parts[4])
    }

    /// DER's elements, one after another.
    private struct Elements {
        private var rest: ArraySlice<UInt8>

        init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

        var peek: UInt8? { rest.first }

        mutating func next(tag: UInt8) -> Elements? {
            guard peek == tag else { return nil }
            return nextAny().map { Elements($0.content) }
        }

        mutating func nextAny() -> (tag: UInt8, content: ArraySlice<UInt8>)? {
            guard let tag = rest.popFirst(), let first = rest.popFirst() else { return nil }
            var length = Int(first)
            if first >= 0x80 {
                let count = Int(first & 0x7F)
                guard (1...4).contains(count), rest.count >= count else { return nil }
                length = rest.prefix(count).reduce(0) { $0 << 8 | Int($1) }
                rest = rest.dropFirst(count)
            }
            guard length <= rest.count else { return nil }
            defer { rest = rest.dropFirst(length) }
            return (tag, rest.prefix(length))
        }
    }
}

extension Substring {
    /// Where `suffix` begins, if this ends with it (spaces after it do not count).
    fileprivate func range(ofSuffix suffix: String) -> Index? {
        var text = self
        while text.last?.isWhitespace == true { text.removeLast() }
        guard text.hasSuffix(suffix) else { return nil }
        return text.index(text.endIndex, offsetBy: -suffix.count)
    }
}
