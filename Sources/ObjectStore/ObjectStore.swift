/// A flat store of objects by key: what S3 offers, without S3's wire format.
///
/// Every call is one request or a bounded series of attempts at one request; it throws ``StoreError`` and honours
/// task cancellation. Implementations are safe to call from any task, many at a time. Bodies are streamed: no call
/// holds more than a bounded buffer of one in memory.
public protocol ObjectStore: Sendable {
    var multipartLimits: MultipartLimits { get }

    /// HeadObject. Throws `.notFound`.
    func head(_ key: ObjectKey) async throws(StoreError) -> ObjectInfo

    /// GetObject. `range` nil means the whole object; a range is clipped at the object's end and must start inside.
    /// With `ifMatch`, throws `.preconditionFailed` if the object is another version now. Returns what the headers
    /// said, with the size of the whole object. The sink got every byte of the range, or the call throws.
    func get(
        _ key: ObjectKey, range: Range<Int64>?, ifMatch: ETag?, into sink: any ByteSink
    ) async throws(StoreError) -> ObjectInfo

    /// PutObject: the whole object in one request, atomically. `metadata` as in ``ObjectInfo/metadata``.
    ///
    /// A checksum of the bytes is computed before sending and goes with them: bytes that change in between make the
    /// request fail with `.corrupted`, never a mixed object.
    func put(
        _ key: ObjectKey, body: any ByteSource, metadata: [String: String], condition: WriteCondition
    ) async throws(StoreError) -> ETag

    /// ListObjectsV2: keys that start with `prefix`. With `delimiter`, keys that contain it after the prefix are
    /// folded into common prefixes. `limit` at most 1,000 keys and prefixes together.
    func list(
        prefix: String, delimiter: String?, continuation: String?, limit: Int
    ) async throws(StoreError) -> ListPage

    /// DeleteObject. No error if there is nothing at the key. With `ifMatch`, `.preconditionFailed` if the object is
    /// another version now.
    func delete(_ key: ObjectKey, ifMatch: ETag?) async throws(StoreError)

    /// DeleteObjects: at most 1,000 keys, without conditions. Returns the keys that could not be deleted, and why.
    func delete(_ keys: [ObjectKey]) async throws(StoreError) -> [ObjectKey: StoreError]

    /// CopyObject on the server. `metadata` nil keeps the source's, else replaces it. The source must still be the
    /// version `sourceETag`, else `.preconditionFailed`. `condition` is on the destination. Objects over
    /// `multipartLimits.maximumPartSize` need the part copy: `.tooLarge`.
    func copy(
        from source: ObjectKey, sourceETag: ETag, to destination: ObjectKey, metadata: [String: String]?,
        condition: WriteCondition
    ) async throws(StoreError) -> ETag

    /// CreateMultipartUpload. The metadata is fixed here.
    func createMultipartUpload(_ key: ObjectKey, metadata: [String: String]) async throws(StoreError) -> UploadID

    /// UploadPart. A part sent again under its number replaces the former. Checksummed as ``put(_:body:metadata:condition:)``.
    func uploadPart(
        _ key: ObjectKey, upload: UploadID, number: Int, body: any ByteSource
    ) async throws(StoreError) -> UploadedPart

    /// UploadPartCopy: a range of an existing object becomes a part, on the server.
    func copyPart(
        from source: ObjectKey, sourceETag: ETag, range: Range<Int64>, to key: ObjectKey, upload: UploadID,
        number: Int
    ) async throws(StoreError) -> UploadedPart

    /// ListParts, all pages, ascending. Throws `.noSuchUpload`.
    func listParts(_ key: ObjectKey, upload: UploadID) async throws(StoreError) -> [UploadedPart]

    /// CompleteMultipartUpload. `parts` ascending by number. The object appears whole, or the call throws.
    func completeMultipartUpload(
        _ key: ObjectKey, upload: UploadID, parts: [UploadedPart], condition: WriteCondition
    ) async throws(StoreError) -> ETag

    /// AbortMultipartUpload. No error if the upload is not there.
    func abortMultipartUpload(_ key: ObjectKey, upload: UploadID) async throws(StoreError)

    /// ListMultipartUploads: those of exactly this key that were neither completed nor aborted; of more than 1,000 the
    /// first.
    func openMultipartUploads(of key: ObjectKey) async throws(StoreError) -> [UploadID]
}

extension ObjectStore {
    /// Throws `.unsupported`: a store that cannot tell.
    public func openMultipartUploads(of key: ObjectKey) async throws(StoreError) -> [UploadID] {
        throw StoreError(.unsupported, message: "the store does not list uploads")
    }

    /// ``head(_:)``, nil if there is no object at the key.
    public func headIfPresent(_ key: ObjectKey) async throws(StoreError) -> ObjectInfo? {
        do {
            return try await head(key)
        } catch {
            guard error.kind == .notFound else { throw error }
            return nil
        }
    }
}
