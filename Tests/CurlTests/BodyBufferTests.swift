import LockLadder
import Testing

@testable import Curl

@Suite struct BodyBufferTests {
    @Test("What one body left behind is in nobody else's room, though the memory is the same")
    func wiped() throws {
        let secret = [UInt8](repeating: 0xA5, count: 100_000)
        for _ in 0..<4 {
            let result = try exchange([.send(response(body: secret))])
            #expect(result.failure == nil && result.body == secret, "\(String(describing: result.failure))")
            // A transfer that breaks off in the middle leaves as little.
            let half = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
            #expect(try exchange([.send(Array(half.utf8) + secret.prefix(50_000)), .reset]).failure != nil)
        }
        // Other tests lend and give back meanwhile; none of what comes back may hold anything.
        let before = BodyBuffer.statistics.reused
        var buffers: [BodyBuffer] = []
        for _ in 0..<16 {
            let buffer = BodyBuffer()
            var capacity = 4_096
            let start = try #require(buffer.resize(&capacity))
            let room = UnsafeBufferPointer(start: start, count: capacity)
            #expect(room.allSatisfy { $0 == 0 })
            room.withMemoryRebound(to: UInt8.self) { UnsafeMutableBufferPointer(mutating: $0).update(repeating: 0x5A) }
            buffers.append(buffer)
        }
        #expect(BodyBuffer.statistics.reused > before, "all memory was new")
        for buffer in buffers { buffer.giveBack() }
    }

    @Test func keepsWhatIsThereWhenItGrows() throws {
        let buffer = BodyBuffer()
        var capacity = 1
        var start = try #require(buffer.resize(&capacity))
        let first = capacity
        for index in 0..<first { start[index] = UInt8(truncatingIfNeeded: index) }
        capacity = first + 1
        start = try #require(buffer.resize(&capacity))
        #expect(capacity > first)
        #expect((0..<first).allSatisfy { start[$0] == UInt8(truncatingIfNeeded: $0) })
        #expect((first..<capacity).allSatisfy { start[$0] == 0 })
    }
}
