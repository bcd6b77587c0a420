import ConfigGuard
import ConfigSnapshot
import ConfigTrust
import Foundation
import LockLadder
import TestSupport
import Testing

@testable import ConfigAgent

/// What waits for checks, where commands do not come to an end.
@Suite("Checks that wait")
struct DocumentChecksTests {
    private let directory: TemporaryDirectory
    private let silent: Int32

    init() throws {
        directory = try TemporaryDirectory()
        // Takes connections and says nothing.
        silent = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = directory.path("check.sock")
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(silent, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0 && listen(silent, 64) == 0)
    }

    private func question(_ source: String, _ text: String) throws -> DocumentChecks.Question {
        let body = Array(text.utf8)
        return DocumentChecks.Question(
            source: try #require(SourceName(source)),
            digest: try #require(ContentDigest(of: body)),
            format: .json,
            check: Check(command: ["/bin/true"]),
            body: body
        )
    }

    private final class Told: @unchecked Sendable {
        private let lock = NSLock()
        private var counts: [Bool: Int] = [:]
        func note(_ isAnswered: Bool) { lock.withLock { counts[isAnswered, default: 0] += 1 } }
        func count(_ isAnswered: Bool) -> Int { lock.withLock { counts[isAnswered] ?? 0 } }
    }

    @Test("The same question is asked once, a newer one of its source takes the place of one that waits")
    func bounded() throws {
        defer { close(silent) }
        let checks = DocumentChecks(socket: directory.path("check.sock"))
        let told = Told()
        for order in 0..<20 { checks.ask(try question("app", "1"), order: UInt64(order)) { told.note($0) } }
        #expect(told.count(false) == 16 && told.count(true) == 0)
        // As many sources as there are threads, so that others wait.
        for number in 0..<7 {
            checks.ask(try question("s\(number)", "1"), order: 20 + UInt64(number)) { told.note($0) }
        }
        #expect(told.count(false) == 16)
        for version in 2...5 {
            checks.ask(try question("other", "\(version)"), order: 30 + UInt64(version)) { told.note($0) }
        }
        #expect(told.count(false) == 19)
        #expect(checks.stop(until: .now.advanced(byNanoseconds: 20_000_000_000)))
        // Ended, nobody is told anything.
        #expect(told.count(true) == 0 && told.count(false) == 19)
    }

    @Test("What a new configuration does not ask any more ends, and whoever has waited for it comes again")
    func dropped() throws {
        defer { close(silent) }
        let checks = DocumentChecks(socket: directory.path("check.sock"))
        let told = Told()
        let kept = try question("kept", "1")
        checks.ask(kept, order: 1) { told.note($0) }
        // More than there are threads: one of them waits.
        for number in 0..<UInt64(DocumentChecks.most) {
            checks.ask(try question("s\(number)", "1"), order: 2 + number) { told.note($0) }
        }
        #expect(told.count(true) == 0)
        checks.keepOnly([kept.source: kept.check])
        #expect(told.count(true) == DocumentChecks.most && told.count(false) == 0)
        #expect(checks.answer(for: kept.source, kept.digest, kept.check) == nil)
        // Their threads are there for others again.
        unlink(directory.path("check.sock"))
        let done = WakeSignal()
        checks.ask(try question("next", "1"), order: 40) { if $0 { done.raise() } }
        #expect(done.wait(until: .now.advanced(byNanoseconds: 20_000_000_000)))
        #expect(checks.stop(until: .now.advanced(byNanoseconds: 20_000_000_000)))
    }

    @Test("Where nobody runs checks, that is the answer, until who has asked has come for it")
    func nobody() throws {
        close(silent)
        unlink(directory.path("check.sock"))
        for socket in [directory.path("check.sock"), nil] {
            let checks = DocumentChecks(socket: socket)
            let asked = try question("app", "1")
            let done = WakeSignal()
            checks.ask(asked, order: 7) { if $0 { done.raise() } }
            try #require(done.wait(until: .now.advanced(byNanoseconds: 20_000_000_000)))
            // Another document of its source, and one that has come for its own.
            let other = try question("app", "2")
            checks.ask(other, order: 8) { if $0 { done.raise() } }
            try #require(done.wait(until: .now.advanced(byNanoseconds: 20_000_000_000)))
            for (question, order) in [(asked, UInt64(7)), (other, 8)] {
                guard case .notRun = checks.answer(for: question.source, question.digest, question.check) else {
                    Issue.record("no answer to \(order)")
                    return
                }
                // Whatever has become of its result: superseded, overtaken, frozen.
                checks.settle(order)
                #expect(checks.answer(for: question.source, question.digest, question.check) == nil)
            }
            #expect(checks.stop(until: .now.advanced(byNanoseconds: 20_000_000_000)))
        }
    }
}
