/// How requests to sources were shared.
public struct FlightCounts: Codable, Sendable, Hashable {
    /// How many times somebody wanted a fresh document.
    public var calls: UInt64
    /// How many of these calls joined a request that was shared.
    public var folded: UInt64
    /// How many requests were made.
    public var flights: UInt64
    /// How many of these requests failed.
    public var failures: UInt64
    /// How many requests are under way.
    public var inFlight: Int

    enum CodingKeys: String, CodingKey {
        case calls
        case folded
        case flights
        case failures
        case inFlight = "in_flight"
    }

    public init(calls: UInt64, folded: UInt64, flights: UInt64, failures: UInt64, inFlight: Int) {
        self.calls = calls
        self.folded = folded
        self.flights = flights
        self.failures = failures
        self.inFlight = inFlight
    }
}
