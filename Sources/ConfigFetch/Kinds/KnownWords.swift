/// What a server says is not repeated: it may have been told to say a secret, or may give back what it was sent. Of its
/// words those are told that are known.
struct KnownWords {
    let phrases: [String]

    /// The first of the phrases that is part of what was said.
    func recognise(_ said: String?) -> String? { said.flatMap { said in phrases.first { said.contains($0) } } }

    static let etcd = KnownWords(phrases: [
        "authentication failed, invalid user ID or password", "permission denied", "invalid auth token",
        "user name is empty", "user name not found", "authentication is not enabled",
        "revision of auth store is old", "revision in header is old", "required revision is a future revision",
        "required revision has been compacted", "request is too large", "too many requests", "request timed out",
        "no leader", "server stopped", "not capable", "unhealthy cluster", "database space exceeded",
        "transport is closing", "context canceled",
    ])

    static let aws = KnownWords(phrases: [
        "BadRequestException", "ResourceNotFoundException", "ThrottlingException", "InternalServerException",
        "AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException",
        "MissingAuthenticationTokenException", "IncompleteSignatureException", "ServiceUnavailableException",
        "InvalidClientTokenId", "RequestExpired", "OptInRequired",
    ])

    /// gRPC's numbers, as far as a read comes to them.
    static func ofGRPC(_ code: Int?) -> String? {
        switch code {
        case 3: "invalid argument"
        case 4: "deadline exceeded"
        case 5: "not found"
        case 7: "permission denied"
        case 8: "resource exhausted"
        case 9: "failed precondition"
        case 12: "not implemented"
        case 13: "internal error"
        case 14: "unavailable"
        case 16: "not authenticated"
        default: nil
        }
    }
}
