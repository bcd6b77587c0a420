internal import AgentAPI
internal import ConfigSnapshot
internal import Crypto
internal import NIOCore
internal import NIOHTTP1

/// `GET /v1/config[/KEY]`: a value out of the newest snapshot, as JSON.
enum ValueRoute {
    /// One request reads one snapshot: value, generation and revision belong together.
    static func read(_ key: String, ifNoneMatch: String?, _ worker: Worker) -> LocalResponse {
        worker.withSnapshot { snapshot in
            guard snapshot.generation > 0 else {
                return .error(
                    .serviceUnavailable,
                    "no_snapshot",
                    "there is no configuration yet",
                    hint: "see why: agentctl status"
                )
            }
            guard let value = snapshot.value(at: key) else {
                return notFound(key, in: snapshot, "generation \(snapshot.generation)")
            }
            var headers = [(ConfigHeaders.generation, String(snapshot.generation))]
            if let source = value.source {
                headers.append((ConfigHeaders.source, source.source.text))
                headers.append((ConfigHeaders.revision, source.label))
            }
            let generation = snapshot.generation
            var response = answer(value.json, headers, ifNoneMatch) {
                worker.shared($0, key: key, generation: generation)
            }
            if response.status == .ok, response.sharedBody == nil { response.ofGeneration = generation }
            return response
        }
    }

    /// A value, or the word that the client has it already.
    ///
    /// - Parameter shared: the bytes of a large value: however many ask, and however slowly they read, they are there
    ///   once.
    static func answer(
        _ json: ArraySlice<UInt8>,
        _ headers: [(String, String)],
        _ ifNoneMatch: String?,
        shared: (ArraySlice<UInt8>) -> ByteBuffer
    ) -> LocalResponse {
        let etag = etag(of: json)
        var response: LocalResponse
        if let ifNoneMatch, matches(ifNoneMatch, etag) {
            response = LocalResponse(.notModified, body: [])
        } else {
            let isLarge = json.count > AnswerCache.largestAnswer
            response = LocalResponse(.ok, body: isLarge ? [] : Array(json))
            if isLarge { response.sharedBody = shared(json) }
        }
        response.headers = headers + [(ConfigHeaders.etag, etag), ("Cache-Control", "no-cache")]
        return response
    }

    static func notFound(_ key: String, in snapshot: borrowing Snapshot, _ place: String) -> LocalResponse {
        let isWellFormed = key.isEmpty || DottedKey.split(key.utf8) != nil
        let nearest = snapshot.keys(near: key)
        return .error(
            .notFound,
            "unknown_key",
            "there is no key '\(key)' in \(place)",
            hint: isWellFormed
                ? nil : "a name that holds a dot or a quote is written in quotes: a.\"b.c\"",
            nearest: nearest
        )
    }

    /// A digest of the value itself: it changes when the value does, and not when another one does.
    private static func etag(of json: ArraySlice<UInt8>) -> String {
        let digest = SHA256.hash(data: json)
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = [UInt8(ascii: "\"")]
        for byte in digest.prefix(16) {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        text.append(UInt8(ascii: "\""))
        return String(decoding: text, as: UTF8.self)
    }

    private static func matches(_ header: String, _ etag: String) -> Bool {
        header.split(separator: ",").contains { candidate in
            let trimmed = candidate.drop { $0 == " " }.prefix { $0 != " " }
            return trimmed == "*" || trimmed == etag || trimmed == "W/" + etag
        }
    }
}
