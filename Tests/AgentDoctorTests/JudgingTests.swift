import AgentAPI
import Testing

@testable import AgentDoctor

@Suite("Placeholder")
struct PlaceholderTests {}
