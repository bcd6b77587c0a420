import Foundation
import TestSupport
import Testing

@testable import ConfigPublish

@Suite("Files that are whole or not there")
struct FileIOTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
    }

    private func mode(_ name: String) -> mode_t {
        var status = stat()
        return stat(directory.path(name), &status) == 0 ? status.st_mode & 0o7777 : 0
    }

    @Test func replace() throws {
        try FileIO.replace("a", in: directory.path, with: [Array("one ".utf8), [], Array("two".utf8)])
        #expect(readText(directory.path("a")) == "one two")
        #expect(mode("a") == 0o600)
        try FileIO.replace("a", in: directory.path, with: [Array("three".utf8)])
        #expect(readText(directory.path("a")) == "three")
        #expect(try names() == ["a"])
        try FileIO.replace("a", in: directory.path, with: [])
        #expect(readText(directory.path("a")).isEmpty)
    }

    @Test("What a crash left is overwritten, and lends its permissions to nothing")
    func existingTemporary() throws {
        try directory.write(".a.tmp", "what a crash left, longer than what comes")
        chmod(directory.path(".a.tmp"), 0o644)
        try FileIO.replace("a", in: directory.path, with: [Array("new".utf8)])
        #expect(readText(directory.path("a")) == "new")
        #expect(try names() == ["a"])
        #expect(mode("a") == 0o600)
    }

    @Test("A link that lies in the way is taken away, and nothing is written through it")
    func linkedTemporary() throws {
        let victim = try directory.write("victim", "precious")
        #expect(symlink(victim, directory.path(".a.tmp")) == 0)
        try FileIO.replace("a", in: directory.path, with: [Array("new".utf8)])
        #expect(readText(victim) == "precious")
        #expect(readText(directory.path("a")) == "new")
        #expect(try names() == ["a", "victim"])
    }

    @Test func failuresLeaveTheOldContent() throws {
        try createDirectory(directory.path("a/below"))
        #expect(throws: FileError.self) { try FileIO.replace("a", in: directory.path, with: [[1]]) }
        #expect(try names() == ["a"])
        let missing = #expect(throws: FileError.self) {
            try FileIO.replace("x", in: directory.path("none"), with: [[1]])
        }
        #expect(missing?.isMissing == true)
        #expect(missing?.description.contains(directory.path("none")) == true)
    }

    @Test func read() throws {
        let path = try directory.write("a", "12345")
        #expect(try FileIO.read(path, limit: 5) == Array("12345".utf8))
        let tooLarge = #expect(throws: FileError.self) { try FileIO.read(path, limit: 4) }
        #expect(tooLarge?.code == EFBIG)
        let missing = #expect(throws: FileError.self) { try FileIO.read(directory.path("none"), limit: 4) }
        #expect(missing?.isMissing == true)
        #expect(try FileIO.read(try directory.write("empty", ""), limit: 0).isEmpty)
    }

    @Test func readOtherThings() throws {
        #expect(mkfifo(directory.path("pipe"), 0o600) == 0)
        #expect(symlink("/etc/hostname", directory.path("link")) == 0)
        for name in ["pipe", "link", "."] {
            #expect(throws: FileError.self) { try FileIO.read(directory.path(name), limit: 1_000) }
        }
    }

    @Test func directories() throws {
        try FileIO.makeDirectory(directory.path("new"))
        #expect(mode("new") == 0o700)
        try FileIO.makeDirectory(directory.path("new"))
        #expect(throws: FileError.self) { try FileIO.makeDirectory(directory.path("none/below")) }
    }

    @Test func setAside() throws {
        let path = try directory.write("a", "x")
        FileIO.setAside(path)
        #expect(try names() == ["a.bad"])
    }
}
