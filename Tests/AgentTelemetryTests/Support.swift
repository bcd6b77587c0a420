import Foundation
import LockLadder

@testable import AgentTelemetry

let second: UInt64 = 1_000_000_000

/// Has one thread wait for `lock` while another holds it, until somebody has slept.
func contend(_ lock: ContendedLock, sleeping duration: TimeInterval = 0.005) {
    while lock.parks == 0 {
        lock.withHolder { Thread.sleep(forTimeInterval: duration) }
    }
}

/// A lock that two threads fight for.
final class ContendedLock: Sendable {
    private let mutex: Mutex<Int>

    init(_ name: StaticString) { mutex = Mutex(name, 0) }

    var parks: UInt64 { mutex.statistics.parks }

    /// Runs `body` with the lock held and another thread waiting for it, and waits for that one.
    func withHolder(_ body: () -> Void) {
        let done = WakeSignal()
        mutex.withLock { _ in
            let thread = Thread {
                self.mutex.withLock { $0 += 1 }
                done.raise()
            }
            thread.start()
            body()
        }
        _ = done.wait(until: nil)
    }

    func take() { mutex.withLock { $0 += 1 } }
}

extension JournalRecord {
    func values(_ name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }
    func value(_ name: String) -> String? { values(name).first }
}

/// `stderr` of this process led into a file, for the rest of the process's life. Only in exit tests.
func redirectStandardError(to path: String) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    dup2(descriptor, STDERR_FILENO)
    close(descriptor)
    unsetenv("JOURNAL_STREAM")
}

func temporaryPath() -> String {
    FileManager.default.temporaryDirectory.appendingPathComponent("journal-test-\(UUID().uuidString)").path
}

func readLines(_ path: String) -> [String] {
    let text = String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    return text.split(separator: "\n").map(String.init)
}

/// Ends an exit test that did not do what it should.
struct Unexpected: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

func ensure(_ condition: Bool, _ what: @autoclosure () -> String) throws {
    if !condition { throw Unexpected(what()) }
}

func ensureSoon(_ what: String, _ condition: () -> Bool) throws {
    let end = Date().addingTimeInterval(20)
    while !condition() {
        try ensure(Date() < end, what)
        Thread.sleep(forTimeInterval: 0.005)
    }
}
