import Glibc
import ObjectStore
import SystemPackage

/// Reads small files that hold tokens, and tells whether others could read them too.
enum SecretFile {
    /// The longest token that is taken; bytes.
    static let limit = 64 << 10

    /// The content without white space around it. Throws `.noCredentials`, never quoting the content.
    static func text(_ path: String) throws(StoreError) -> String {
        let bytes = try bytes(path)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw StoreError(.noCredentials, message: "\(path) is no text")
        }
        let trimmed = text.drop { $0.isWhitespace }
        guard let end = trimmed.lastIndex(where: { !$0.isWhitespace }) else {
            throw StoreError(.noCredentials, message: "\(path) is empty")
        }
        return String(trimmed[...end])
    }

    /// Throws `.noCredentials`.
    static func bytes(_ path: String) throws(StoreError) -> [UInt8] {
        var bytes: [UInt8] = []
        do {
            // A pipe must not make anybody wait.
            let file = try FileDescriptor.open(FilePath(path), .readOnly, options: [.closeOnExec, .nonBlocking])
            try file.closeAfter {
                while bytes.count <= limit {
                    let piece = try [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
                        count = try file.read(into: UnsafeMutableRawBufferPointer(buffer))
                    }
                    if piece.isEmpty { break }
                    bytes += piece
                }
            }
        } catch {
            throw StoreError(.noCredentials, message: "\(path) cannot be read: \(error)")
        }
        guard bytes.count <= limit else { throw StoreError(.noCredentials, message: "\(path) is over 64 KiB") }
        return bytes
    }

    /// Whether the group or everybody may read the file.
    static func isOpenToOthers(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & 0o044 != 0
    }
}
