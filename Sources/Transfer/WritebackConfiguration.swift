/// How write-back goes about its work.
public struct WritebackConfiguration: Sendable {
    /// In the names of conflict copies.
    public var host: String
    /// For objects of others that are learnt of by a conflict.
    public var defaults: RemoteDefaults
    /// From the last close or change of a file to its upload, so that what is closed and opened in a row is sent once.
    public var uploadDelay = Duration.seconds(1)
    /// A file that is open for writing and was not written to for so long goes as it is.
    public var idleDelay = Duration.seconds(30)
    /// Files worked on at once; of small ones, that no slow link feels, four times as many.
    public var concurrency = 4
    /// Parts of one file sent at once at most, on a quick link.
    public var partConcurrency = 8
    /// Objects deleted at once.
    public var deleteConcurrency = 8
    /// Larger files go in parts, bytes.
    public var singlePutLimit: Int64 = 16 << 20
    /// Smallest part wished for, bytes.
    public var partSize: Int64 = 8 << 20

    /// Attributes that objects get.
    public var metadata = MetadataPolicy.full

    /// What is known of the store's conditions, besides what the journal says.
    public var conditions = ConditionSupport.trusted

    public init(host: String, defaults: RemoteDefaults) {
        self.host = host
        self.defaults = defaults
    }
}
