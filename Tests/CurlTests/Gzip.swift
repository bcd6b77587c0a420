/// gzip streams made by hand, so that tests can say exactly what is in them.
enum Gzip {
    private static let header: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255]

    /// One member that holds `content` without compressing it.
    static func stored(_ content: [UInt8]) -> [UInt8] {
        var stream = header
        var rest = content[...]
        repeat {
            let block = rest.prefix(65_535)
            rest = rest.dropFirst(block.count)
            stream.append(rest.isEmpty ? 1 : 0)
            stream += littleEndian(UInt16(block.count))
            stream += littleEndian(~UInt16(block.count))
            stream += block
        } while !rest.isEmpty
        return stream + littleEndian(crc(content)) + littleEndian(UInt32(content.count))
    }

    /// A member that unpacks to `repetitions` times 258 zeros and one more, at 13 bits for 258 bytes. Its checksum is
    /// wrong, which shows only to those who unpack it all.
    static func bomb(repetitions: Int) -> [UInt8] {
        var bits = Bits()
        bits.append([1, 1, 0])  // the last block, with the fixed codes (01, lowest bit first)
        bits.append([0, 0, 1, 1, 0, 0, 0, 0])  // the literal 0
        for _ in 0..<repetitions {
            bits.append([1, 1, 0, 0, 0, 1, 0, 1])  // copy 258 bytes
            bits.append([0, 0, 0, 0, 0])  // from one byte ago
        }
        bits.append([0, 0, 0, 0, 0, 0, 0])  // the end of the block
        return header + bits.bytes + [0, 0, 0, 0, 0, 0, 0, 0]
    }

    private struct Bits {
        var bytes: [UInt8] = []
        var used = 8

        mutating func append(_ bits: [UInt8]) {
            for bit in bits {
                if used == 8 {
                    bytes.append(0)
                    used = 0
                }
                bytes[bytes.count - 1] |= bit << UInt8(used)
                used += 1
            }
        }
    }

    private static func littleEndian(_ number: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: number.littleEndian) { Array($0) }
    }

    private static func crc(_ bytes: [UInt8]) -> UInt32 {
        var crc: UInt32 = 0xFFFF_FFFF
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
        }
        return ~crc
    }
}
