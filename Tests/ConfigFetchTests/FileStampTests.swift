import Foundation
import TestSupport
import Testing

@testable import ConfigFetch

@Suite("Stamps of files")
struct FileStampTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func stamp(_ path: String) throws -> FileStamp {
        guard case .regular(let stamp) = FileStamp.look(at: path) else { throw POSIXError(.ENOENT) }
        return stamp
    }

    @Test func sameFile() throws {
        let path = try directory.write("a", "1")
        #expect(try stamp(path) == stamp(path))
        #expect(try stamp(path).size == 1)
    }

    @Test("A file of the same size and the same time is still another file")
    func replaced() throws {
        let path = try directory.write("a", "1")
        var times = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
        utimensat(AT_FDCWD, path, &times, 0)
        let before = try stamp(path)
        try directory.write("a", "2")
        utimensat(AT_FDCWD, path, &times, 0)
        let after = try stamp(path)
        #expect(before.size == after.size)
        #expect(before.modified == after.modified)
        #expect(before != after)
    }

    @Test func throughLinks() throws {
        let one = try directory.write("one", "1")
        let two = try directory.write("two", "2")
        let link = directory.path("link")
        #expect(symlink(one, link) == 0)
        let before = try stamp(link)
        #expect(before == (try stamp(one)))
        #expect(symlink(two, link + ".new") == 0)
        #expect(rename(link + ".new", link) == 0)
        #expect(try stamp(link) != before)
    }

    @Test func otherThings() throws {
        let isOther = if case .other = FileStamp.look(at: directory.path) { true } else { false }
        #expect(isOther)
        #expect(FileStamp.look(at: directory.path("none")) == .unreadable(errno: ENOENT))
        let pipe = directory.path("pipe")
        #expect(mkfifo(pipe, 0o600) == 0)
        let isPipeOther = if case .other = FileStamp.look(at: pipe) { true } else { false }
        #expect(isPipeOther)
        let file = try directory.write("file", "x")
        #expect(FileStamp.look(at: file + "/below") == .unreadable(errno: ENOTDIR))
    }
}
