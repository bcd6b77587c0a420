/// What the operator has commanded for good: it survives a restart.
public struct OperatorState: Hashable, Sendable {
    /// A generation is to stay in use, whatever the sources say.
    public struct Pin: Hashable, Sendable {
        /// Whose content it is.
        public var generation: UInt64
        public var command: Command

        public init(generation: UInt64, command: Command) {
            self.generation = generation
            self.command = command
        }
    }

    public var pin: Pin?
    /// No source is to be asked.
    public var freeze: Command?

    public init(pin: Pin? = nil, freeze: Command? = nil) {
        self.pin = pin
        self.freeze = freeze
    }

    private static let title = "config-agent operator 1"

    var bytes: [UInt8] {
        var text = FieldText(Self.title)
        if let pin {
            text.add("pin", pin.generation)
            text.add(pin.command, as: "pinned")
        }
        if let freeze { text.add(freeze, as: "frozen") }
        return text.bytes
    }

    init?(parsing bytes: [UInt8]) {
        guard let text = FieldText(Self.title, parsing: bytes) else { return nil }
        if let number = text.first("pin") {
            guard let generation = UInt64(generation: number), let command = text.command("pinned") else { return nil }
            pin = Pin(generation: generation, command: command)
        }
        freeze = text.command("frozen")
        if freeze == nil, text.first("frozen") != nil { return nil }
    }
}
