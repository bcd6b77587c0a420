import ConfigSnapshot
import Testing

@testable import ConfigDecode

@Suite("Damaged documents")
struct MutationTests {
    /// SplitMix64: the same damage for the same seed.
    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }

    private func damage(_ bytes: [UInt8], using random: inout Generator) -> [UInt8] {
        let interesting =
            Array("{}[]\",:\\u0dD.eE+-1 \n\t#&*!|>'%@~<?".utf8) + [0x00, 0x7F, 0x80, 0xC2, 0xED, 0xF4, 0xFF]
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let place = Int.random(in: 0...bytes.count, using: &random)
            let byte = interesting[Int.random(in: 0..<interesting.count, using: &random)]
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes.insert(byte, at: place)
            case 1 where place < bytes.count: bytes[place] = byte
            case 2 where place < bytes.count: bytes.remove(at: place)
            default: bytes.removeLast(Int.random(in: 0...min(3, bytes.count), using: &random))
            }
        }
        return bytes
    }

    /// Whatever is accepted means the same once it has been written back; nothing brings a parser down.
    @Test(arguments: [DocumentFormat.json, .yaml])
    func nothingBreaks(_ format: DocumentFormat) throws {
        var random = Generator(state: 7)
        let texts = JSONAcceptTests.rows.map(\.text) + (format == .yaml ? YAMLTests.accepted.map(\.text) : [])
        var accepted = 0
        for text in texts {
            for _ in 0..<60 {
                let body = damage(Array(text.utf8), using: &random)
                let document = try verified(body)
                let decoder = DocumentDecoder(format: format, urlPath: "/")
                guard let decoded = try? decoder.decode(document, now: { 1 }) else { continue }
                accepted += 1
                let snapshot = Snapshot(
                    generation: 1,
                    merged: LayerMerge([decoded.table]),
                    digest: decoded.digest,
                    publishedAt: 0,
                    sources: [
                        SourceRevision(
                            source: decoded.source,
                            digest: decoded.digest,
                            validators: .none,
                            fetchedAt: 0,
                            traceID: ""
                        )
                    ]
                )
                let written = try #require(snapshot.value(at: "")).json
                let again = try leaves(Array(written), .json)
                #expect(again == lines(decoded.table), "\(String(decoding: body, as: UTF8.self))")
            }
        }
        #expect(accepted > 100)
    }
}
