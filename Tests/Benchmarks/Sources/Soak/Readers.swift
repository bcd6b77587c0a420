import BenchKit
import Foundation
import Synchronization

/// Counts what is asked, for the sampler.
final class Counters: Sendable {
    let reads = Atomic<Int>(0)
    let events = Atomic<Int>(0)
    let documents = Atomic<Int>(0)
    let scrapes = Atomic<Int>(0)
    let hostilities = Atomic<Int>(0)
}

/// Clients that read values, and look closely at what they get.
struct Readers: Sendable {
    let agent: Agent
    let ledger: Ledger
    let promises: Promises
    let counters: Counters

    // MARK: The whole configuration

    /// Reads all of it again and again, and a single value in between.
    func whole(_ name: String, _ crew: Crew) {
        var socket: LocalSocket?
        var life = 0
        // What was found to be whole need not be looked at again.
        var known: (body: [UInt8], seen: [Document.Seen]) = ([], [])
        var round = 0
        while crew.pause(0.01) {
            let ticket = ledger.begin()
            guard ticket.isUp else {
                socket = nil
                continue
            }
            if ticket.life != life { (socket, life) = (nil, ticket.life) }
            round += 1
            do {
                let connection = try socket ?? LocalSocket(agent.socket("config"), timeout: 5)
                socket = connection
                let isSingle = round % 4 == 0
                let answer = try connection.get(isSingle ? "/v1/config/file.n" : "/v1/config")
                ledger.timed(ticket, "\(name): a read")
                counters.reads.add(1, ordering: .relaxed)
                guard answer.status == 200, let generation = answer.header("Agent-Generation").flatMap({ UInt64($0) })
                else {
                    ledger.failed(ticket, "\(name): \(answer.status) \(String(decoding: answer.body, as: UTF8.self))")
                    continue
                }
                if isSingle {
                    single(ticket, answer, generation, name)
                } else {
                    if answer.body != known.body { known = (answer.body, try look(answer.body, name)) }
                    ledger.read(ticket, generation: generation, known.seen, by: name)
                }
            } catch let torn as Document.Torn {
                promises.check(.wholeDocuments, false, "\(name): \(torn)")
            } catch {
                socket = nil
                ledger.failed(ticket, "\(name): \(error)")
            }
        }
    }

    private func look(_ body: [UInt8], _ name: String) throws -> [Document.Seen] {
        let json = Agent.json(body)
        guard !json.isEmpty else { throw Document.Torn(description: "no JSON: \(body.count) bytes") }
        var seen: [Document.Seen] = []
        for source in ledger.layers {
            guard let value = json[source] as? [String: Any] else { continue }
            seen.append(try Document.read(value, of: source))
            promises.check(.wholeDocuments, true, "")
        }
        return seen
    }

    private func single(_ ticket: Ledger.Ticket, _ answer: Answer, _ generation: UInt64, _ name: String) {
        ledger.checkGeneration(ticket, generation, name)
        let text = String(decoding: answer.body, as: UTF8.self).filter(\.isNumber)
        guard let number = Int(text) else {
            return promises.check(.wholeDocuments, false, "\(name): file.n is \(text)")
        }
        ledger.read(ticket, "file", number: number, by: name)
    }

    // MARK: A document on demand

    /// Reads it for a while, and then not for longer than it is kept.
    func onDemand(_ crew: Crew) {
        var life = 0
        var wasThere = false
        while crew.pause(0.1) {
            let end = Figures.now + UInt64(Double.random(in: 1...5) * 1e9)
            while Figures.now < end, crew.pause(0.1) {
                let ticket = ledger.begin()
                guard ticket.isUp else { continue }
                if ticket.life != life { (life, wasThere) = (ticket.life, false) }
                do {
                    let socket = try LocalSocket(agent.socket("config"), timeout: 10)
                    let answer = try socket.get("/v1/documents/demand?wait=5")
                    counters.documents.add(1, ordering: .relaxed)
                    ledger.timed(ticket, limit: 6, "a document on demand")
                    try look(ticket, answer, &wasThere)
                } catch let torn as Document.Torn {
                    promises.check(.wholeDocuments, false, "on demand: \(torn)")
                } catch {
                    ledger.failed(ticket, "on demand: \(error)")
                }
            }
            guard crew.pause(Double.random(in: 2...5)) else { return }
        }
    }

    private func look(_ ticket: Ledger.Ticket, _ answer: Answer, _ wasThere: inout Bool) throws {
        guard answer.status == 200 else {
            // While all is frozen nobody is asked for what is not there.
            if wasThere, !ticket.isFrozen, !ledger.look(\.isFrozen) {
                ledger.failed(ticket, "on demand: \(answer.status) \(String(decoding: answer.body, as: UTF8.self))")
            }
            return
        }
        wasThere = true
        guard let value = Agent.json(answer.body)["demand"] as? [String: Any] else {
            throw Document.Torn(description: "no document in \(answer.body.count) bytes")
        }
        let seen = try Document.read(value, of: "demand")
        promises.check(.wholeDocuments, true, "")
        ledger.checkMarks([seen], "on demand")
        ledger.read(ticket, "demand", number: seen.number, by: "on demand")
    }
}
