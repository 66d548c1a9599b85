/// Under which condition a write may take effect (HTTP If-None-Match and If-Match on PutObject, CopyObject and
/// CompleteMultipartUpload).
public enum WriteCondition: Equatable, Sendable {
    /// Replace whatever is there.
    case none
    /// Only if there is no object at the key.
    case ifAbsent
    /// Only if the object at the key is still this version.
    case ifMatch(ETag)
}
