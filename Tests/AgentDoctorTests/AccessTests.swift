import Testing

@testable import AgentDoctor

@Suite("Who may use a file, by its modes")
struct AccessTests {
    private static let agent = Identity(user: 100, groups: [200, 201], name: "agent")

    /// Mode, owner, group, the bits asked for, and whether they are granted.
    private static let cases: [(mode: UInt32, owner: UInt32, group: UInt32, bits: UInt32, granted: Bool)] = [
        (0o600, 100, 0, Access.Bits.read, true),
        (0o600, 0, 200, Access.Bits.read, false),
        (0o640, 0, 200, Access.Bits.read, true),
        (0o640, 0, 201, Access.Bits.read, true),
        (0o640, 0, 300, Access.Bits.read, false),
        (0o644, 0, 300, Access.Bits.read, true),
        (0o644, 0, 300, Access.Bits.write, false),
        (0o646, 0, 300, Access.Bits.read | Access.Bits.write, true),
        (0o645, 0, 300, Access.Bits.read | Access.Bits.write, false),
        // The first class that fits decides: an owner without rights is not helped by those of others.
        (0o077, 100, 200, Access.Bits.read, false),
        (0o607, 0, 200, Access.Bits.read, false),
        (0o711, 0, 300, Access.Bits.search, true),
        (0o710, 0, 300, Access.Bits.search, false),
        (0o4755, 0, 300, Access.Bits.read | Access.Bits.search, true),
    ]

    @Test("Owner, group and others", arguments: cases.indices)
    func classes(_ index: Int) {
        let row = Self.cases[index]
        let facts = FileFacts(kind: .file, mode: row.mode, owner: row.owner, group: row.group)
        #expect(Access.allows(row.bits, on: facts, to: Self.agent) == row.granted)
        #expect(Access.allows(row.bits, on: facts, to: Identity(user: 0, groups: [], name: "root")))
    }

    private func look(
        _ modes: [String: UInt32]
    ) -> (String) throws(FileFacts.Failure) -> FileFacts {
        { path throws(FileFacts.Failure) in
            guard let mode = modes[path] else { throw FileFacts.Failure(code: 2) }
            guard mode != 0o7777 else { throw FileFacts.Failure(code: 13) }
            return FileFacts(kind: .other, mode: mode, owner: 0, group: 0)
        }
    }

    @Test("Every directory on the way has to be passed")
    func way() {
        func obstacle(_ modes: [String: UInt32]) -> Access.Obstacle? {
            Access.obstacle(Access.Bits.read, at: "/a/b/c", for: Self.agent, look: look(modes))
        }
        let open: [String: UInt32] = ["/": 0o755, "/a": 0o755, "/a/b": 0o711, "/a/b/c": 0o644]
        func with(_ path: String, _ mode: UInt32?) -> [String: UInt32] {
            var modes = open
            modes[path] = mode
            return modes
        }
        #expect(obstacle(open) == nil)
        #expect(obstacle(with("/a", 0o750)) == .closedDirectory("/a"))
        #expect(obstacle(with("/a/b", 0o744)) == .closedDirectory("/a/b"))
        #expect(obstacle(with("/a/b/c", 0o640)) == .closed)
        #expect(obstacle(with("/a/b/c", nil)) == .missing("/a/b/c"))
        #expect(obstacle(with("/a", nil)) == .missing("/a"))
        #expect(obstacle(with("/a/b", 0o7777)) == .hidden("/a/b"))
    }

    @Test("The directories above a path")
    func directories() {
        #expect(Access.directories(above: "/") == ["/"])
        #expect(Access.directories(above: "/a") == ["/"])
        #expect(Access.directories(above: "/a/b//c") == ["/", "/a", "/a/b"])
    }

    @Test("A process's user and groups")
    func process() throws {
        let text = "Name:\tagentd\nUid:\t1\t100\t1\t100\nGid:\t2\t200\t2\t200\nGroups:\t5 6 \nVmRSS:\t1 kB\n"
        let identity = try #require(Identity.parse(processStatus: text) { $0 == 100 ? "agent" : nil })
        #expect(identity == Identity(user: 100, groups: [200, 5, 6], name: "agent"))
        #expect(Identity.parse(processStatus: text) { _ in nil }?.name == "user 100")
        #expect(Identity.parse(processStatus: "Uid:\t1\n") { _ in nil } == nil)
        #expect(Identity.parse(processStatus: "") { _ in nil } == nil)
    }
}
