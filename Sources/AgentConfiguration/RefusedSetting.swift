public import ConfigSnapshot

/// Something that a configuration names on disk and that is not in force as it is there now.
public struct RefusedSetting: Sendable, Hashable {
    /// What is in force in its place.
    public enum Standing: Sendable, Hashable {
        /// What was read before.
        case asBefore
        /// Too few keys are left, and those that are gone are not believed any more.
        case nothingTrusted
    }

    /// The sources that it is for, in order; none for all.
    public var sources: [SourceName]
    /// Which file, and what is wrong with it.
    public var what: String
    /// What to do about it.
    public var advice: String?
    public var standing: Standing

    public init(sources: [SourceName], what: String, advice: String?, standing: Standing = .asBefore) {
        self.sources = sources
        self.what = what
        self.advice = advice
        self.standing = standing
    }
}

extension RefusedSetting: CustomStringConvertible {
    /// `what; what is in force; what to do`, for one who knows which source is meant.
    public var description: String {
        let inForce =
            switch standing {
            case .asBefore: "what was read before stays in force"
            case .nothingTrusted: "nothing new is taken, and what is in use stays"
            }
        return "\(what); \(inForce)" + (advice.map { "; \($0)" } ?? "")
    }
}

extension SourceConfiguration {
    /// Takes over of `earlier` what a section of the file says.
    mutating func keep(_ section: String, of earlier: SourceConfiguration) {
        switch section {
        case "headers": headers = earlier.headers
        case "auth": auth = earlier.auth
        case "proxy": proxy = earlier.proxy
        case "tls": tls = earlier.tls
        case "verify": verification = earlier.verification
        case "guard": (limits, rules) = (earlier.limits, earlier.rules)
        default: self = earlier
        }
    }
}
