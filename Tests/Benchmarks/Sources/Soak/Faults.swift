import Foundation

/// What a source may do wrong here.
enum FaultKind: String, CaseIterable {
    // Of everything that is fetched over HTTP.
    case serverError, hang, reset, closes, truncated, wrongType, invalidJSON, empty, redirect, oversize, stopsMidway
    case notHTTP, slowBody
    // Of a source whose documents are signed.
    case forged, otherKey, older, unsigned
    // Of a source with rules, a command that checks, and a mirror.
    case breaksRule, failsCheck, hangsCheck, onlyPrimary, mirrorLags
    // Of a file.
    case missing, halfWritten, notJSON
    // Of a store of keys.
    case away

    private static let transport: [FaultKind] = [
        .serverError, .hang, .reset, .closes, .truncated, .wrongType, .invalidJSON, .empty, .redirect, .oversize,
        .stopsMidway, .notHTTP, .slowBody,
    ]

    static func kinds(of source: String) -> [FaultKind] {
        switch source {
        case "signed": [.forged, .otherKey, .older, .unsigned] + transport
        case "plain": [.breaksRule, .failsCheck, .hangsCheck, .onlyPrimary, .mirrorLags] + transport
        case "demand": transport
        case "file": [.missing, .halfWritten, .notJSON]
        default: [.away]
        }
    }

    /// Whether it is a document of its own, which is new each time and is refused for what it says.
    var isContent: Bool { [.breaksRule, .failsCheck, .hangsCheck].contains(self) }

    /// Whether the source is failing while it lasts. Another place may answer for the first one, and slow is not wrong.
    var isFailure: Bool { self != .onlyPrimary && self != .slowBody }
}
