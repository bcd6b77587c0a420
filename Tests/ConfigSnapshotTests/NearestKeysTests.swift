import Testing

@testable import ConfigSnapshot

@Suite("Nearest keys")
struct NearestKeysTests {
    @Test func nearestFirst() {
        let candidates = ["timeout", "timeouts", "time", "poll", "connect_timeout"]
        #expect(NearestKeys.nearest(to: "timeuot", among: candidates, limit: 5) == ["timeout", "timeouts"])
        #expect(NearestKeys.nearest(to: "timeout", among: candidates, limit: 5) == ["timeout", "timeouts"])
        #expect(NearestKeys.nearest(to: "timeouts", among: candidates, limit: 1) == ["timeouts"])
        #expect(NearestKeys.nearest(to: "zzzzzz", among: candidates, limit: 5).isEmpty)
        #expect(NearestKeys.nearest(to: "pool", among: candidates, limit: 0).isEmpty)
        #expect(NearestKeys.nearest(to: "zz", among: ["a", "zzz"], limit: 5) == ["zzz"])
    }

    @Test func likeOnesInOrderOfTheirNames() {
        #expect(NearestKeys.nearest(to: "ab", among: ["ad", "ac", "ab", "aa"], limit: 4) == ["ab", "aa", "ac", "ad"])
    }

    /// Two letters swapped are one slip, not two.
    @Test func swapped() {
        #expect(NearestKeys.nearest(to: "ulr", among: ["tls", "url"], limit: 2) == ["url"])
        #expect(NearestKeys.nearest(to: "abcdef", among: ["badcfe"], limit: 1).isEmpty)
        #expect(NearestKeys.nearest(to: "abcdef", among: ["badcef"], limit: 1) == ["badcef"])
    }

    /// An edit distance of a third of the length; of a short one no more than one.
    @Test func reach() {
        #expect(NearestKeys.nearest(to: "abc", among: ["abx", "axy", "xyz"], limit: 3) == ["abx"])
        #expect(NearestKeys.nearest(to: "abcdefghi", among: ["abcdefxyz", "abcdewxyz"], limit: 3) == ["abcdefxyz"])
    }

    @Test func objectsAreKeysToo() throws {
        let snapshot = try snapshot([table(["server.listen.port": "1", "server.listen.host": "2", "x": "3"])])
        #expect(snapshot.keys(near: "server.listn") == ["server.listen"])
        #expect(snapshot.keys(near: "servre") == ["server"])
        #expect(snapshot.keys(near: "server.listen.prot").first == "server.listen.port")
    }
}
