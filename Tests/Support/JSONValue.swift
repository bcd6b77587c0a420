internal import Foundation

/// A JSON value to look into; what is not there reads as null.
public struct JSONValue: @unchecked Sendable, CustomStringConvertible {
    private let value: Any?

    private init(value: Any?) {
        self.value = value is NSNull ? nil : value
    }

    /// Reads any JSON text.
    public init(parsing bytes: [UInt8]) throws {
        self.init(value: try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed))
    }

    /// Reads any JSON text.
    public init(parsing text: String) throws {
        try self.init(parsing: Array(text.utf8))
    }

    public subscript(name: String) -> JSONValue {
        JSONValue(value: (value as? [String: Any])?[name])
    }

    public subscript(index: Int) -> JSONValue {
        guard let array = value as? [Any], array.indices.contains(index) else { return JSONValue(value: nil) }
        return JSONValue(value: array[index])
    }

    public var isNull: Bool { value == nil }
    public var string: String? { value as? String }
    public var int: Int? { value is String ? nil : (value as? NSNumber)?.intValue }
    public var double: Double? { value is String ? nil : (value as? NSNumber)?.doubleValue }
    public var bool: Bool? { value as? Bool }
    public var array: [JSONValue] { (value as? [Any] ?? []).map { JSONValue(value: $0) } }
    public var names: [String] { (value as? [String: Any])?.keys.sorted() ?? [] }

    /// One string, or several where a field was given more than once.
    public var strings: [String] {
        if let string { return [string] }
        return array.compactMap(\.string)
    }

    public var description: String {
        guard let value else { return "null" }
        let options: JSONSerialization.WritingOptions = [.fragmentsAllowed, .sortedKeys]
        guard let data = try? JSONSerialization.data(withJSONObject: value, options: options) else { return "\(value)" }
        return String(decoding: data, as: UTF8.self)
    }
}
