import AgentctlKit
import Testing

@Suite struct TextStyleTests {
    @Test func coloursOnlyOnATerminalThatWantsThem() {
        func colour(_ columns: Int?, _ noColour: String?, _ terminal: String?) -> Bool {
            TextStyle(columns: columns, noColour: noColour, terminal: terminal).colour
        }
        #expect(colour(80, nil, "xterm"))
        #expect(colour(80, "", "xterm"))
        #expect(colour(80, nil, nil))
        #expect(!colour(nil, nil, "xterm"))
        #expect(!colour(80, "1", "xterm"))
        #expect(!colour(80, "0", "xterm"))
        #expect(!colour(80, nil, "dumb"))
    }

    @Test func isNeverTooNarrowToRead() {
        #expect(TextStyle(columns: 7, noColour: nil, terminal: nil).width == 40)
        #expect(TextStyle(columns: nil, noColour: nil, terminal: nil).width == 100)
        #expect(TextStyle(columns: 132, noColour: nil, terminal: nil).width == 132)
    }
}
