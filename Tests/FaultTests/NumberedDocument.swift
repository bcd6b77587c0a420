internal import Crypto
internal import Foundation
import TestSupport

/// Documents that tell whether they are whole, and which of two is the newer.
enum NumberedDocument {
    static let largest = 300_000

    private static let letters: [UInt8] = {
        let alphabet = Array("abcdefghijklmnopqrstuvwxyz0123456789".utf8)
        return (0..<largest + 1_000).map { _ in alphabet[Int.random(in: 0..<alphabet.count)] }
    }()

    /// Most of them small, some as large as it gets.
    static var anySize: Int { Int(exp(Double.random(in: 0...log(Double(largest))))) }

    static func json(_ source: String, _ sequence: Int, size: Int) -> [UInt8] {
        let start = sequence % 1_000
        let payload = Array(letters[start..<start + size])
        let head = #"{"\#(source)":{"sequence":\#(sequence),"checksum":"\#(checksum(sequence, payload))","payload":""#
        return Array(head.utf8) + payload + Array(#""}}"#.utf8)
    }

    private static func checksum(_ sequence: Int, _ payload: [UInt8]) -> String {
        var hash = SHA256()
        hash.update(data: Array("\(sequence) ".utf8))
        hash.update(data: payload)
        return hash.finalize().map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    /// - Returns: the number of a document that is whole; `nil` for one that is not.
    static func sequence(of value: JSONValue) -> Int? {
        guard let sequence = value["sequence"].int, let payload = value["payload"].string,
            value["checksum"].string == checksum(sequence, Array(payload.utf8))
        else { return nil }
        return sequence
    }
}

/// Counts documents as they are given out.
final class Sequence: @unchecked Sendable {
    private let lock = NSLock()
    private var last = 0

    func next() -> Int {
        lock.withLock {
            last += 1
            return last
        }
    }

    var current: Int { lock.withLock { last } }
}
