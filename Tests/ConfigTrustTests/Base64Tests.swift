import ConfigTrust
import Testing

@Suite("Base64")
struct Base64Tests {
    @Test("There and back, for every length of the last group", arguments: 0..<70)
    func bothWays(count: Int) {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ count) }
        #expect(Base64.decode(Base64.encode(bytes)) == bytes)
    }

    @Test("As everybody writes it")
    func known() {
        let pairs = [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("\u{7F}\u{7E}", "f34="),
        ]
        for (text, encoded) in pairs {
            #expect(Base64.encode(Array(text.utf8)) == encoded)
            #expect(Base64.decode(encoded) == Array(text.utf8))
        }
    }

    @Test(
        "One way to write each: anything else is none",
        arguments: ["Zg", "Zg=", "Zh==", "Zm9=", "Zm9v\n", " Zm9v", "Zm9-", "Zg==Zg==", "====", "Z===", "Zm8=="]
    )
    func refused(text: String) {
        #expect(Base64.decode(text) == nil)
    }
}
