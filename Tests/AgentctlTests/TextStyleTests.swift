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

    @Test(
        "Blocks only where the locale says that they can be read",
        arguments: [
            ("en_GB.UTF-8", true), ("C.utf8", true), ("de_DE.utf-8", true), ("C", false), ("POSIX", false),
            ("de_DE.ISO-8859-1", false), ("", false),
        ]
    )
    func blocks(locale: String, wanted: Bool) {
        #expect(TextStyle(columns: nil, noColour: nil, terminal: nil, locale: locale).blocks == wanted)
        #expect(TextStyle(columns: 80, noColour: "1", terminal: "xterm", locale: locale).blocks == wanted)
        #expect(!TextStyle(columns: 80, noColour: nil, terminal: "dumb", locale: locale).blocks)
        #expect(!TextStyle(columns: 80, noColour: nil, terminal: "xterm", locale: nil).blocks)
    }
}
