import ObjectStore
import Platform
import Synchronization

/// The whole of ``ObjectStore`` in memory, strict about its rules: the store for tests that need no disk and no
/// network.
public final class MemoryStore: ObjectStore {
    struct Object {
        var bytes: [UInt8]
        var info: ObjectInfo
    }

    struct Upload {
        var key: ObjectKey
        var metadata: [String: String]
        var parts: [Int: (bytes: [UInt8], md5: [UInt8])] = [:]
    }

    struct State {
        var objects: [ObjectKey: Object] = [:]
        var uploads: [UploadID: Upload] = [:]
        var uploadCount = 0
    }

    public let multipartLimits: MultipartLimits
    private let time: any TimeSource
    let state = Mutex(State())

    /// `multipartLimits` may be small, so that tests of many parts need few bytes.
    public init(time: any TimeSource = SystemTime(), multipartLimits: MultipartLimits = .s3) {
        self.time = time
        self.multipartLimits = multipartLimits
    }

    // MARK: What tests look at

    public var keys: [ObjectKey] { state.withLock { $0.objects.keys.sorted() } }

    public var openUploads: Int { state.withLock { $0.uploads.count } }

    public func bytes(_ key: ObjectKey) -> [UInt8]? { state.withLock { $0.objects[key]?.bytes } }

    public func info(_ key: ObjectKey) -> ObjectInfo? { state.withLock { $0.objects[key]?.info } }

    /// What another client of the bucket does.
    @discardableResult
    public func set(_ key: ObjectKey, _ bytes: [UInt8], metadata: [String: String] = [:]) -> ETag {
        let etag = ETag(Checksum.hex(Checksum.digest(.md5, of: bytes)))
        return state.withLock { store(key, bytes, metadata, etag, in: &$0) }
    }

    public func remove(_ key: ObjectKey) {
        state.withLock { $0.objects[key] = nil }
    }

    // MARK: ObjectStore

    public func head(_ key: ObjectKey) async throws(StoreError) -> ObjectInfo {
        try checkCancellation()
        return try state.withLock { state throws(StoreError) in try Self.find(key, in: state).info }
    }

    public func get(
        _ key: ObjectKey, range: Range<Int64>?, ifMatch: ETag?, into sink: any ByteSink
    ) async throws(StoreError) -> ObjectInfo {
        try checkCancellation()
        let object = try state.withLock { state throws(StoreError) in try Self.find(key, in: state) }
        if let ifMatch, ifMatch != object.info.etag { throw StoreError.conditionFailed(key) }
        let range = try Self.clip(range, to: object.info)
        do {
            try sink.begin(object.info)
            try object.bytes.withUnsafeBytes { bytes in
                try Self.deliver(UnsafeRawBufferPointer(rebasing: bytes[range]), at: range.lowerBound, to: sink)
            }
        } catch {
            throw error as? StoreError ?? StoreError(.localFault, message: "the sink failed: \(error)")
        }
        return object.info
    }

    public func put(
        _ key: ObjectKey, body: any ByteSource, metadata: [String: String], condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try checkCancellation()
        try Self.check(key)
        let bytes = try Self.contents(body)
        guard bytes.count <= multipartLimits.maximumPartSize else {
            throw StoreError(.tooLarge, code: "EntityTooLarge", message: "\(key) is too large for one request")
        }
        let etag = ETag(Checksum.hex(Checksum.digest(.md5, of: bytes)))
        return try state.withLock { state throws(StoreError) in
            try Self.check(condition, on: key, in: state)
            return store(key, bytes, metadata, etag, in: &state)
        }
    }

    public func list(
        prefix: String, delimiter: String?, continuation: String?, limit: Int
    ) async throws(StoreError) -> ListPage {
        try checkCancellation()
        let infos = state.withLock { $0.objects.values.map(\.info) }
        var listing = MemoryListing(prefix: prefix, delimiter: delimiter, after: continuation, limit: limit)
        for info in infos.sorted(by: { $0.key < $1.key }) {
            guard listing.add(info) else { break }
        }
        return listing.page
    }

    public func delete(_ key: ObjectKey, ifMatch: ETag?) async throws(StoreError) {
        try checkCancellation()
        try Self.check(key)
        try state.withLock { state throws(StoreError) in
            if let ifMatch, let object = state.objects[key], object.info.etag != ifMatch {
                throw StoreError.conditionFailed(key)
            }
            state.objects[key] = nil
        }
    }

    public func delete(_ keys: [ObjectKey]) async throws(StoreError) -> [ObjectKey: StoreError] {
        try checkCancellation()
        guard keys.count <= 1000 else { throw StoreError(.refused, message: "more than 1000 keys in one request") }
        state.withLock { for key in keys { $0.objects[key] = nil } }
        return [:]
    }

    public func copy(
        from source: ObjectKey, sourceETag: ETag, to destination: ObjectKey, metadata: [String: String]?,
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try checkCancellation()
        try Self.check(destination)
        return try state.withLock { state throws(StoreError) in
            let object = try Self.find(source, version: sourceETag, in: state)
            guard object.info.size <= multipartLimits.maximumPartSize else {
                throw StoreError(.tooLarge, code: "InvalidRequest", message: "\(source) is too large for one copy")
            }
            try Self.check(condition, on: destination, in: state)
            let etag = ETag(Checksum.hex(Checksum.digest(.md5, of: object.bytes)))
            return store(destination, object.bytes, metadata ?? object.info.metadata, etag, in: &state)
        }
    }

    // MARK: Helpers

    func store(
        _ key: ObjectKey, _ bytes: [UInt8], _ metadata: [String: String], _ etag: ETag, in state: inout State
    ) -> ETag {
        let info = ObjectInfo(
            key: key, size: Int64(bytes.count), etag: etag, lastModified: time.wall, metadata: metadata)
        state.objects[key] = Object(bytes: bytes, info: info)
        return etag
    }
}

extension MultipartLimits {
    /// So that few bytes make many parts.
    public static let small = MultipartLimits(minimumPartSize: 8, maximumPartSize: 64, maximumPartCount: 160)
}
