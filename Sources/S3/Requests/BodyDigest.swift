import Dispatch
import ObjectStore
import Synchronization

/// Checksums of a body, computed before it is sent.
struct BodyDigest: Equatable, Sendable {
    var algorithm: Checksum.Algorithm
    /// Stores compare it with what arrives; not all do so with the SHA-256 of a signature (SeaweedFS 4.48 takes any).
    var value: [UInt8]
    /// Hexadecimal; nil for a streamed body: no byte is hashed twice, and the signature covers the header of `value`.
    var sha256: String?

    /// Read at once; bytes.
    private static let pieceSize = 256 << 10
    private static let shortLength: Int64 = 64 << 10

    init(of bytes: [UInt8]) {
        self.init(algorithm: .md5, value: Checksum.digest(.md5, of: bytes))
        sha256 = Checksum.hex(Checksum.digest(.sha256, of: bytes))
    }

    private init(algorithm: Checksum.Algorithm, value: [UInt8]) {
        self.algorithm = algorithm
        self.value = value
    }

    /// Reads the whole source, on a thread that may wait for the disk unless it is so short that it is not worth the way.
    /// Throws `.localFault`, `.cancelled`.
    static func compute(
        _ source: any ByteSource, _ algorithm: Checksum.Algorithm
    ) async throws(StoreError) -> BodyDigest {
        guard source.count > Self.shortLength else { return try read(source, algorithm) { false } }
        let isCancelled = Flag()
        let result: Result<BodyDigest, StoreError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                DispatchQueue.global(qos: .utility).async {
                    continuation.resume(
                        returning: Result { () throws(StoreError) in
                            try read(source, algorithm) { isCancelled.value.load(ordering: .relaxed) }
                        }
                    )
                }
            }
        } onCancel: {
            isCancelled.value.store(true, ordering: .relaxed)
        }
        return try result.get()
    }

    /// Shared between the task that may be cancelled and the thread that reads.
    private final class Flag: Sendable {
        let value = Atomic<Bool>(false)
    }

    private static func read(
        _ source: any ByteSource, _ algorithm: Checksum.Algorithm, unless isCancelled: () -> Bool
    ) throws(StoreError) -> BodyDigest {
        let checksum = Checksum(algorithm)
        let piece = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Int(min(Int64(pieceSize), max(1, source.count))), alignment: 64)
        defer { piece.deallocate() }
        var offset: Int64 = 0
        while offset < source.count {
            guard !isCancelled() else {
                throw StoreError(.cancelled, message: "cancelled")
            }
            let count = Int(min(Int64(pieceSize), source.count - offset))
            let part = UnsafeMutableRawBufferPointer(rebasing: piece[..<count])
            do {
                try source.read(into: part, at: offset)
            } catch {
                throw StoreError(.localFault, message: "\(error)")
            }
            checksum.update(UnsafeRawBufferPointer(part))
            offset += Int64(count)
        }
        return BodyDigest(algorithm: algorithm, value: checksum.finish())
    }

    /// Content-MD5 (RFC 1864), or the store's own header for another checksum, which its answer repeats.
    var header: (name: String, value: String) {
        (algorithm == .md5 ? "Content-MD5" : algorithm.header, Checksum.base64(value))
    }
}

extension Checksum.Algorithm {
    /// Of requests and answers, in lower case ("Checking object integrity", S3 user guide).
    var header: String { "x-amz-checksum-\(rawValue)" }

    /// As the values of other headers write its name.
    var name: String { rawValue.uppercased() }

    /// Of XML documents.
    var element: String { "Checksum\(name)" }
}
