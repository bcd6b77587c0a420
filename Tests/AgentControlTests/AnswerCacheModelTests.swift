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
}
