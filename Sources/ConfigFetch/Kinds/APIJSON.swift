internal import ConfigSnapshot
internal import FoundationEssentials

/// JSON as the APIs of sources speak it: what is small. Answers that hold documents are gone through by ``JSONWalk``.
enum APIJSON {
    static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws(StageFailure) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw JSONWalk.notUnderstood
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
    static func bytes(ofBase64 text: some Sequence<UInt8>) -> [UInt8]? {
        Data(base64Encoded: Data(text)).map(Array.init)
    }
}
