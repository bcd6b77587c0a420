internal import ConfigSnapshot

/// Listens to nothing: with it a parser only checks, and a document with an error in it costs no memory of its own.
struct ScanSink: DocumentSink {
    static let readsText = false

    mutating func beginObject(at position: Position) {}
    mutating func name(_ name: ArraySlice<UInt8>, at position: Position) {}
    mutating func endObject() {}
    mutating func beginArray(at position: Position) {}
    mutating func endArray() {}
    mutating func scalar(_ scalar: Scalar, at position: Position) {}
}
