import LockLadder
import Testing

@Suite struct CallSiteTests {
    @Test func keepsFileAndLineInOneWord() {
        let site = CallSite(fileID: "Module/File.swift", line: 12)
        #expect(site.file == "Module/File.swift")
        #expect(site.line == 12)
        #expect(site.description == "Module/File.swift:12")
    }

    @Test func tellsTheFileOfItsCaller() {
        let site = CallSite(fileID: #fileID, line: #line)
        #expect(site.file == "LockLadderTests/CallSiteTests.swift")
    }

    @Test(arguments: [(1, 1), (65_534, 65_534), (65_535, 65_535), (65_536, 65_535), (1 << 40, 65_535)])
    func cutsLinesAtTheGreatestThatFits(line: Int, told: UInt) {
        let site = CallSite(fileID: #fileID, line: UInt(line))
        #expect(site.line == told)
        #expect(site.file == "LockLadderTests/CallSiteTests.swift")
    }

    @Test func isEmptyForNone() {
        #expect(CallSite.none.word == 0)
        #expect(CallSite.none.file.isEmpty)
        #expect(CallSite.none.line == 0)
        #expect(CallSite.none.description == "-")
    }
}
