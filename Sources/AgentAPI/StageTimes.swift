/// How long the document in use took from stage to stage.
public struct StageTimes: Codable, Sendable, Hashable {
    /// The trace id, 16 hexadecimal digits, as in the journal.
    public var id: String
    /// From the request to the last byte of the body.
    public var requestedToReceivedMicroseconds: UInt64?
    /// From there until a command had answered; `nil` where none was asked.
    public var receivedToCheckedMicroseconds: UInt64?
    /// From there until it was verified.
    public var receivedToVerifiedMicroseconds: UInt64?
    /// From there until it was decoded.
    public var verifiedToDecodedMicroseconds: UInt64?
    /// From there until readers saw it.
    public var decodedToPublishedMicroseconds: UInt64?
    /// From there until the last worker had taken it up.
    public var publishedToWorkersMicroseconds: UInt64?

    enum CodingKeys: String, CodingKey {
        case id
        case requestedToReceivedMicroseconds = "requested_to_received_us"
        case receivedToCheckedMicroseconds = "received_to_checked_us"
        case receivedToVerifiedMicroseconds = "received_to_verified_us"
        case verifiedToDecodedMicroseconds = "verified_to_decoded_us"
        case decodedToPublishedMicroseconds = "decoded_to_published_us"
        case publishedToWorkersMicroseconds = "published_to_workers_us"
    }

    public init(
        id: String,
        requestedToReceivedMicroseconds: UInt64? = nil,
        receivedToCheckedMicroseconds: UInt64? = nil,
        receivedToVerifiedMicroseconds: UInt64? = nil,
        verifiedToDecodedMicroseconds: UInt64? = nil,
        decodedToPublishedMicroseconds: UInt64? = nil,
        publishedToWorkersMicroseconds: UInt64? = nil
    ) {
        self.id = id
        self.requestedToReceivedMicroseconds = requestedToReceivedMicroseconds
        self.receivedToCheckedMicroseconds = receivedToCheckedMicroseconds
        self.receivedToVerifiedMicroseconds = receivedToVerifiedMicroseconds
        self.verifiedToDecodedMicroseconds = verifiedToDecodedMicroseconds
        self.decodedToPublishedMicroseconds = decodedToPublishedMicroseconds
        self.publishedToWorkersMicroseconds = publishedToWorkersMicroseconds
    }
}
