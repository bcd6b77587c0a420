internal import ConfigSnapshot
internal import NIOCore

/// The encoded answers of one generation, by the target of their requests. Belongs to one worker's event loop.
///
/// A value that many ask for is looked up and encoded once for each generation. Answers that depend on anything but
/// the target and the generation have no place here.
struct AnswerCache {
    private static let most = 1_024
    private static let largest = 4 << 20
    /// A larger answer costs more to send than to make.
    static let largestAnswer = 64 << 10

    private var generation: UInt64 = 0
    /// By targets as they came, percent-encoded: the parser lets nothing but ASCII through, so that what is equal as
    /// text is equal in its bytes, too.
    private var answers: [String: ByteBuffer] = [:]
    private var size = 0
    /// Values too large to be kept as whole answers, by their keys: as many as there are different ones. All of them
    /// lie within one document, so together they are no more than its size times its depth.
    private var values: [[UInt8]: ByteBuffer] = [:]
    /// The same for the document in use of each source on demand.
    private var documents: [SourceName: DocumentValues] = [:]

    private struct DocumentValues {
        weak var document: Snapshot?
        var values: [[UInt8]: ByteBuffer] = [:]
    }

    mutating func answer(to target: String, generation: UInt64) -> ByteBuffer? {
        guard generation == self.generation else { return nil }
        return answers[target]
    }

    mutating func keep(_ answer: ByteBuffer, to target: String, generation: UInt64) {
        // One that was made just before a publication comes too late.
        guard generation >= self.generation else { return }
        if generation > self.generation { clear(for: generation) }
        // Large values stay: who asks for many small ones must not have the large ones made again.
        if answers.count >= Self.most || size > Self.largest { clearAnswers() }
        guard answer.readableBytes <= Self.largestAnswer else { return }
        size += answer.readableBytes + target.utf8.count
        answers[target] = answer
    }

    /// The bytes of a large value, the same ones for everybody.
    mutating func shared(_ value: ArraySlice<UInt8>, key: [UInt8], generation: UInt64) -> ByteBuffer {
        if generation > self.generation { clear(for: generation) }
        if generation == self.generation, let known = values[key] { return known }
        let buffer = ByteBuffer(bytes: value)
        if generation == self.generation { values[key] = buffer }
        return buffer
    }

    /// The bytes of a large value of a document that is loaded on demand.
    mutating func shared(_ value: ArraySlice<UInt8>, key: [UInt8], of document: Snapshot) -> ByteBuffer {
        let source = document.sources[0].source
        if documents[source]?.document !== document { documents[source] = DocumentValues(document: document) }
        if let buffer = documents[source]?.values[key] { return buffer }
        let buffer = ByteBuffer(bytes: value)
        documents[source]?.values[key] = buffer
        return buffer
    }

    /// Lets go of what belongs to a document that is in use no more.
    mutating func clear(_ source: SourceName) { documents[source] = nil }

    /// Lets go of what belongs to an older generation.
    mutating func clear(for generation: UInt64) {
        self.generation = generation
        values = [:]
        clearAnswers()
    }

    private mutating func clearAnswers() {
        answers = [:]
        size = 0
    }
}
