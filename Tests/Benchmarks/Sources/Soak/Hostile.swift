import BenchKit
import Foundation

/// Clients that mean no good, in a process of their own: what they may take is limited for each process.
enum Hostile {
    /// For some seconds; then all of it is let go of at once.
    static func run(config: String, status: String, seconds: Double) {
        let end = Date.now + seconds
        let half = Array("GET /v1/config HTTP/1.1\r\nHost: ag".utf8)
        let whole = Array("GET /v1/config HTTP/1.1\r\nHost: agent\r\n\r\n".utf8)
        let junk = [UInt8](repeating: 0xFF, count: 32 << 10)
        let endless = Array("GET /v1/config HTTP/1.1\r\nX: ".utf8) + [UInt8](repeating: 0x61, count: 60 << 10)
        var held: [LocalSocket] = []
        while Date.now < end {
            for number in 0..<40 {
                guard let socket = try? LocalSocket(number % 5 == 4 ? status : config, timeout: 0.05) else { continue }
                switch number % 8 {
                case 0, 1, 2: try? socket.send(half)
                // Wants much, and reads none of it.
                case 3, 4: for _ in 0..<20 { try? socket.send(whole) }
                case 5: try? socket.send(junk)
                case 6: try? socket.send(endless)
                default: break
                }
                held.append(socket)
            }
            // Some go away in the middle.
            if held.count > 250 { held.removeFirst(held.count - 150) }
            usleep(150_000)
        }
        withExtendedLifetime(held) {}
    }

    /// Lets them loose now and then.
    static func keepComing(_ agent: Agent, _ plan: Plan, _ counters: Counters, _ crew: Crew) throws {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        while crew.pause(plan.betweenHostilities * Double.random(in: 0.7...1.3)) {
            guard agent.ledger.isUp else { continue }
            let seconds = Double.random(in: 1...4)
            let child = try Child(own, ["hostile", agent.socket("config"), agent.socket("status"), "\(seconds)"])
            counters.hostilities.add(1, ordering: .relaxed)
            let end = Date.now + seconds + 5
            while child.end == nil, Date.now < end, crew.pause(0.1) {}
            child.stop(within: 0)
        }
    }
}
