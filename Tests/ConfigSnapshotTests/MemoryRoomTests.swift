import Foundation
import Testing

@testable import ConfigSnapshot

@Suite("Room in memory")
struct MemoryRoomTests {
    @Test func probing() {
        #expect(MemoryRoom.has(0))
        #expect(MemoryRoom.has(MemoryRoom.worthAsking - 1))
        #expect(MemoryRoom.has(8 << 20))
        // More than any machine has.
        #expect(!MemoryRoom.has(1 << 50))
    }

    @Test func whichGroup() throws {
        let unified = try #require(ControlGroup(listing: "0::/system.slice/agent.service\n", root: "/cg"))
        #expect(unified.limitPath == "/cg/system.slice/agent.service/memory.max")
        let root = try #require(ControlGroup(listing: "0::/\n", root: "/cg"))
        #expect(root.usagePath == "/cg/memory.current")
        let mixed = try #require(ControlGroup(listing: "3:cpu,cpuacct:/x\n4:memory:/a/b:c\n0::/\n", root: "/cg"))
        #expect(mixed.limitPath == "/cg/memory/a/b:c/memory.limit_in_bytes")
        #expect(ControlGroup(listing: "", root: "/cg") == nil)
        #expect(ControlGroup(listing: "1:name=systemd:/\n", root: "/cg") == nil)
    }

    @Test("What counts is the limit, less what is used and cannot be given up")
    func limits() throws {
        let root = FileManager.default.temporaryDirectory.appendingPathComponent("cg \(UUID().uuidString)")
        let group = root.appendingPathComponent("g")
        try FileManager.default.createDirectory(at: group, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: root) }
        func write(_ name: String, _ text: String) throws {
            try Data(text.utf8).write(to: group.appendingPathComponent(name))
        }
        let own = try #require(ControlGroup(listing: "0::/g\n", root: root.path))
        #expect(own.hasRoom(for: 1 << 40))
        try write("memory.max", "max\n")
        try write("memory.current", "500\n")
        #expect(own.hasRoom(for: 1 << 40))
        try write("memory.max", "1000\n")
        #expect(own.hasRoom(for: 500))
        #expect(!own.hasRoom(for: 501))
        try write("memory.stat", "anon 100\ninactive_file 200\nactive_file 7\n")
        #expect(own.hasRoom(for: 700))
        #expect(!own.hasRoom(for: 701))
    }
}
