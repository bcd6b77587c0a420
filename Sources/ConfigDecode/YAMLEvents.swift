internal import CYaml
internal import ConfigSnapshot

/// One thing that libyaml has read.
enum YAMLEvent {
    case streamStart
    case streamEnd
    /// With the version of a `%YAML` line, where there is one.
    case documentStart(version: (major: Int32, minor: Int32)?)
    case documentEnd
    case alias(String)
    case scalar(YAMLScalar, YAMLProperties)
    case sequenceStart(YAMLProperties)
    case sequenceEnd
    case mappingStart(YAMLProperties)
    case mappingEnd
}

/// What may stand before a node.
struct YAMLProperties {
    var anchor: String?
    var tag: String?
}

/// libyaml's event parser, owned: events out, errors as ours.
struct YAMLEvents: ~Copyable {
    private let parser: UnsafeMutablePointer<yaml_parser_t>

    /// - Parameter input: the text, which has to stay in place as long as this reader lives.
    init(reading input: UnsafeBufferPointer<UInt8>) throws(DecodeError) {
        // SAFETY: allocated here, initialised by libyaml before use, and freed in deinit or right below.
        parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        guard yaml_parser_initialize(parser) == 1 else {
            parser.deallocate()
            throw DecodeError(.tooLarge, at: nil, "out of memory")
        }
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(parser, input.baseAddress, input.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
    }

    /// Reads the next event and where it begins.
    mutating func next() throws(DecodeError) -> (event: YAMLEvent, position: Position) {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { throw problem() }
        defer { yaml_event_delete(&event) }
        return (Self.convert(event), Position(event.start_mark))
    }

    private static func convert(_ event: yaml_event_t) -> YAMLEvent {
        switch event.type {
        case YAML_STREAM_START_EVENT: return .streamStart
        case YAML_DOCUMENT_START_EVENT:
            // SAFETY: libyaml's own, alive until the event is deleted, as is all that is read below.
            let version = event.data.document_start.version_directive?.pointee
            return .documentStart(version: version.map { ($0.major, $0.minor) })
        case YAML_DOCUMENT_END_EVENT: return .documentEnd
        case YAML_ALIAS_EVENT: return .alias(text(event.data.alias.anchor) ?? "")
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            // SAFETY: `value` points at `length` bytes.
            let bytes = Array(UnsafeBufferPointer(start: scalar.value, count: scalar.length))
            return .scalar(
                YAMLScalar(text: bytes, isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE),
                YAMLProperties(anchor: text(scalar.anchor), tag: text(scalar.tag))
            )
        case YAML_SEQUENCE_START_EVENT:
            let start = event.data.sequence_start
            return .sequenceStart(YAMLProperties(anchor: text(start.anchor), tag: text(start.tag)))
        case YAML_SEQUENCE_END_EVENT: return .sequenceEnd
        case YAML_MAPPING_START_EVENT:
            let start = event.data.mapping_start
            return .mappingStart(YAMLProperties(anchor: text(start.anchor), tag: text(start.tag)))
        case YAML_MAPPING_END_EVENT: return .mappingEnd
        default: return .streamEnd
        }
    }

    private static func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        // SAFETY: libyaml ends its strings with a zero byte.
        pointer.map { String(cString: $0) }
    }

    /// libyaml's last error in our words and places.
    private func problem() -> DecodeError {
        let state = parser.pointee
        if state.error == YAML_MEMORY_ERROR { return DecodeError(.tooLarge, at: nil, "out of memory") }
        // SAFETY: these are string constants in libyaml.
        let problem = state.problem.map { String(cString: $0) } ?? "not YAML"
        var message = problem
        if let context = state.context.map({ String(cString: $0) }) {
            message += " (\(context) of line \(state.context_mark.line + 1))"
        }
        if problem.contains("cannot start any token") { message += ": a tab, or text that needs quotes" }
        let isPlaced = state.error == YAML_SCANNER_ERROR || state.error == YAML_PARSER_ERROR
        return DecodeError(.syntax, at: isPlaced ? Position(state.problem_mark) : nil, message)
    }
}

extension Position {
    /// libyaml counts both from 0, and characters.
    fileprivate init(_ mark: yaml_mark_t) {
        self.init(line: Int(mark.line) + 1, column: Int(mark.column) + 1)
    }
}
