import Dispatch
import ObjectStore
import Synchronization

/// Checksums of a body, computed before it is sent.
struct BodyDigest: Equatable, Sendable {
    /// 16 bytes. Stores compare it with what arrives; not all do so with a SHA-256 (SeaweedFS 4.48 takes any).
    var md5: [UInt8]
    /// Hexadecimal; nil for a streamed body: no byte is hashed twice, and the signature covers Content-MD5.
    var sha256: String?

    /// Read at once; bytes.
    private static let pieceSize = 256 << 10

    init(of bytes: [UInt8]) {
        md5 = Checksum.digest(.md5, of: bytes)
        sha256 = Checksum.hex(Checksum.digest(.sha256, of: bytes))
    }

    private init(md5: [UInt8], sha256: String?) {
        self.md5 = md5
        self.sha256 = sha256
    }

    /// Reads the whole source, on a thread that may wait for the disk. Throws `.localFault`, `.cancelled`.
    static func compute(_ source: any ByteSource) async throws(StoreError) -> BodyDigest {
        let isCancelled = Flag()
        let result: Result<BodyDigest, StoreError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                DispatchQueue.global(qos: .utility).async {
                    continuation.resume(
                        returning: Result { () throws(StoreError) in
                            try read(source, unless: isCancelled)
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

    private static func read(_ source: any ByteSource, unless isCancelled: Flag) throws(StoreError) -> BodyDigest {
        let md5 = Checksum(.md5)
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceSize, alignment: 64)
        defer { piece.deallocate() }
        var offset: Int64 = 0
        while offset < source.count {
            guard !isCancelled.value.load(ordering: .relaxed) else {
                throw StoreError(.cancelled, message: "cancelled")
            }
            let count = Int(min(Int64(pieceSize), source.count - offset))
            let part = UnsafeMutableRawBufferPointer(rebasing: piece[..<count])
            do {
                try source.read(into: part, at: offset)
            } catch {
                throw StoreError(.localFault, message: "\(error)")
            }
            md5.update(UnsafeRawBufferPointer(part))
            offset += Int64(count)
        }
        return BodyDigest(md5: md5.finish(), sha256: nil)
    }

    /// The value of Content-MD5 (RFC 1864).
    var contentMD5: String { Checksum.base64(md5) }
}
