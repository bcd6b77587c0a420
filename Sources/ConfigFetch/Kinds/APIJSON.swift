internal import ConfigSnapshot
internal import FoundationEssentials

/// JSON as the APIs of sources speak it.
enum APIJSON {
    static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws(StageFailure) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw StageFailure(
                .fetch,
                "bad_response",
                "the answer is not what this kind of source answers with",
                hint: "check that 'url' leads to such a server, and that nothing between answers in its place"
            )
        }
    }

    static func encode(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Strings and numbers only: there is nothing in it that could not be encoded.
        return (try? encoder.encode(value)).map(Array.init) ?? []
    }

    static func base64(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }

    /// `nil` when it is not base64.
    static func bytes(ofBase64 text: String) -> [UInt8]? { Data(base64Encoded: text).map(Array.init) }
}
