internal import Foundation
import TestSupport
import Testing

/// The ids that the journal's catalog explains.
enum MessageID {
    static let ready = "987f3c7a5ddc4d62b94f1a389436c1ee"
    static let sourceFailed = "2b958e86f1d046ffa76baddd76ed22bc"
    static let lockContended = "e5a003df6a04476da5a0c3ca67dd9294"
    static let lockStuck = "d5772e7513114ac4a4a64710f40bc12a"
    static let recordsDropped = "ea93003a915f4352a69e6a1b41d98ef6"
}

extension AgentProcess {
    /// Waits until a key has a value; returns how long that took.
    @discardableResult
    func waitForValue(_ key: String, _ json: String, deadline: Duration = .seconds(15)) throws -> Duration {
        let start = ContinuousClock.now
        try waitUntil("\(key) to be \(json)", deadline: deadline) { try value(key).line == json }
        return ContinuousClock.now - start
    }

    func waitForLevel(_ level: String, deadline: Duration = .seconds(20)) throws {
        try waitUntil("health to be \(level)", deadline: deadline) { try status()["health"]["level"].string == level }
    }
}

/// A document of one key, with a checksum-like repetition so that halves show.
func document(_ version: Int) -> String {
    #"{"version": \#(version), "again": {"version": \#(version)}}"#
}

/// Whether this machine may boot containers. A runner must: there nothing is skipped.
let mayBootContainers = Container.isPossible || Workspace.isContinuousIntegration
let mayUseNginx = Nginx.isInstalled || Workspace.isContinuousIntegration
