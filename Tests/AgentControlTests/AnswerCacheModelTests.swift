import NIOCore
import Testing

@testable import AgentControl

@Suite("The drawer for answers")
struct AnswerCacheModelTests {
    @Test("An answer is never given for a generation that it was not made from")
    func generations() {
        var cache = AnswerCache()
        cache.keep(ByteBuffer(string: "one"), to: "/a", generation: 1)
        #expect(cache.answer(to: "/a", generation: 1) == ByteBuffer(string: "one"))
        #expect(cache.answer(to: "/b", generation: 1) == nil)
        #expect(cache.answer(to: "/a", generation: 2) == nil)
        cache.keep(ByteBuffer(string: "two"), to: "/b", generation: 2)
        #expect(cache.answer(to: "/a", generation: 2) == nil)
        // Made from an older snapshot, while a newer one was published.
        cache.keep(ByteBuffer(string: "late"), to: "/a", generation: 1)
        #expect(cache.answer(to: "/a", generation: 2) == nil)
        #expect(cache.answer(to: "/a", generation: 1) == nil)
        #expect(cache.answer(to: "/b", generation: 2) == ByteBuffer(string: "two"))
        cache.clear(for: 3)
        cache.keep(ByteBuffer(string: "late"), to: "/a", generation: 2)
        #expect(cache.answer(to: "/a", generation: 3) == nil)
        #expect(cache.answer(to: "/b", generation: 3) == nil)
    }

    @Test("A large value is made once a generation, whatever else is asked for")
    func largeValues() {
        func address(_ buffer: ByteBuffer) -> UnsafeRawPointer? { buffer.withUnsafeReadableBytes { $0.baseAddress } }
        var cache = AnswerCache()
        let value = [UInt8](repeating: 1, count: 100_000)
        let key = Array("k".utf8)
        let first = cache.shared(value[...], key: key, generation: 1)
        for number in 0..<5_000 { cache.keep(ByteBuffer(string: "\(number)"), to: "/\(number)", generation: 1) }
        let again = cache.shared(value[...], key: key, generation: 1)
        #expect(address(again) == address(first))
        let next = cache.shared(value[...], key: key, generation: 2)
        #expect(address(next) != address(first))
        // From a snapshot that was replaced meanwhile: right, but not kept for others.
        let late = cache.shared([2], key: key, generation: 1)
        #expect(late == ByteBuffer(bytes: [2]))
        #expect(address(cache.shared(value[...], key: key, generation: 2)) == address(next))
    }
}
