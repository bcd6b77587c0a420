import Foundation
import LockLadder
import Testing

@testable import Curl

@Suite struct MultiTests {
    private let body = Array("{\"a\": 1}".utf8)

    @Test("One transfer answers while hundreds wait for origins that say nothing")
    func silentOnesHoldNobodyUp() throws {
        let silent = try RawServer([.hold])
        let quick = try RawServer([.send(response(body: body))])
        defer {
            silent.stop()
            quick.stop()
        }
        let multi = try #require(CurlMulti())
        let waiting = try (0..<200).map { _ in try #require(CurlTransfer(request(silent.url()))) }
        for transfer in waiting { multi.add(transfer) }
        #expect(try perform(request(quick.url()), on: multi).body == body)
        #expect(multi.count == 200)
        for transfer in waiting { multi.remove(transfer) }
        #expect(multi.count == 0)
        #expect(try perform(request(quick.url()), on: multi).body == body)
    }

    @Test("A transfer's time passes although its socket says nothing")
    func timeLimitNeedsNoSocket() throws {
        let silent = try RawServer([.hold])
        defer { silent.stop() }
        let result = try perform(request(silent.url()) { $0.timeoutMilliseconds = 50 })
        #expect(result.kind == .timeout)
    }

    @Test("A wake-up ends a wait, whether it comes before or during it")
    func wakeUpEndsAWait() throws {
        let multi = try #require(CurlMulti())
        let waker = multi.waker
        waker.wake()
        waker.wake()
        let began = MonotonicTime.now
        multi.wait(milliseconds: 60_000)
        let thread = try #require(
            NamedThread("test-waker") {
                usleep(20_000)
                waker.wake()
            }
        )
        multi.wait(milliseconds: 60_000)
        #expect(MonotonicTime.now.nanoseconds(since: began) < 30_000_000_000)
        #expect(thread.join(until: MonotonicTime.now.advanced(byNanoseconds: 10_000_000_000)))
    }

    @Test("Sockets that were broken off do not turn the loop")
    func forgetsSockets() throws {
        let silent = try RawServer([.hold])
        defer { silent.stop() }
        let multi = try #require(CurlMulti())
        let transfer = try #require(CurlTransfer(request(silent.url())))
        multi.add(transfer)
        for _ in 0..<5 {
            multi.perform()
            multi.wait(milliseconds: 20)
        }
        multi.remove(transfer)
        // The origin closes its end of what may still be open: a socket that is watched still would speak.
        silent.stop()
        var turns = 0
        let end = MonotonicTime.now.advanced(byNanoseconds: 200_000_000)
        while end.nanoseconds(since: .now) > 0 {
            multi.wait(milliseconds: 50)
            turns += 1
        }
        #expect(turns < 50)
    }

    @Test("A connection is used again until it has grown old")
    func oldConnections() throws {
        let answer = response(body: body)
        let server = try RawServer([.send(answer)] + (0..<999).flatMap { _ in [.receive, .send(answer)] })
        defer { server.stop() }
        let multi = try #require(CurlMulti())
        for _ in 0..<20 { #expect(try perform(request(server.url()), on: multi).body == body) }
        #expect(server.connections == 1)
        // Whole seconds are counted.
        let end = MonotonicTime.now.advanced(byNanoseconds: 60_000_000_000)
        while server.connections == 1, end.nanoseconds(since: .now) > 0 {
            let result = try perform(request(server.url()) { $0.oldestConnectionSeconds = 1 }, on: multi)
            try #require(result.body == body, "\(result)")
            usleep(100_000)
        }
        #expect(server.connections == 2)
    }

    @Test("However many transfers wait for what their origins have to say, connections of others are kept")
    func manyInUse() throws {
        let silent = try RawServer([.hold])
        let answer = response(body: body)
        let server = try RawServer([.send(answer)] + (0..<9).flatMap { _ in [.receive, .send(answer)] })
        defer {
            silent.stop()
            server.stop()
        }
        let multi = try #require(CurlMulti())
        let waiting = try (0..<150).map { _ in try #require(CurlTransfer(request(silent.url()))) }
        for transfer in waiting { multi.add(transfer) }
        for _ in 0..<10 { #expect(try perform(request(server.url()), on: multi).body == body) }
        #expect(server.connections == 1)
        for transfer in waiting { multi.remove(transfer) }
    }

    @Test("Where only the head matters, the body is let pass, and the connection is kept; beyond the limit it is not")
    func headOnly() throws {
        let large = response(body: [UInt8](repeating: 0x20, count: 100_000))
        let server = try RawServer([.send(large), .receive, .send(large), .receive, .send(large)])
        defer { server.stop() }
        let multi = try #require(CurlMulti())
        func ask(limit: Int) throws -> CurlTransfer.Request {
            request(server.url()) {
                $0.discardsBodies = true
                $0.maxBodyBytes = limit
            }
        }
        for _ in 0..<2 {
            let result = try perform(ask(limit: 100_000), on: multi)
            #expect(result.status == 200 && result.body.isEmpty)
        }
        #expect(server.connections == 1)
        #expect(try perform(ask(limit: 99_999), on: multi).failure?.kind == .bodyTooLarge)
    }

    @Test("A connection of one who may go to metadata is nobody else's")
    func forbiddenConnections() throws {
        let answer = response(body: body)
        let server = try RawServer([.send(answer), .receive, .send(answer)])
        defer { server.stop() }
        let multi = try #require(CurlMulti())
        for _ in 0..<3 { _ = try perform(request(server.url()) { $0.allowsLinkLocal = true }, on: multi) }
        #expect(server.connections == 3)
    }

    @Test("A kept connection is neither resolved nor connected again")
    func timingsTellWhatHappened() throws {
        let server = try RawServer([.send(response(body: body)), .receive, .send(response(body: body))])
        defer { server.stop() }
        let multi = try #require(CurlMulti())
        let first = try perform(request(server.url()), on: multi).transfer.timings
        #expect(first.resolve != nil && first.connect != nil && first.tls == nil)
        #expect(try #require(first.firstByte) <= first.total)
        let second = try perform(request(server.url()), on: multi).transfer.timings
        #expect(second.resolve == nil && second.connect == nil && second.tls == nil)
        #expect(try #require(second.firstByte) <= second.total)
    }

    @Test("Of a transfer that was never answered only its length is told")
    func timingsOfATimeout() throws {
        let silent = try RawServer([.hold])
        defer { silent.stop() }
        let timings = try perform(request(silent.url()) { $0.timeoutMilliseconds = 50 }).transfer.timings
        #expect(timings.firstByte == nil)
        #expect(timings.total >= 50_000_000)
    }
}
