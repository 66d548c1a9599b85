import Cache
import Platform
import Synchronization
import SystemPackage

/// The bytes of a write that waits for space, and how many of them are in the file already: a disk that fills up takes a
/// part of them.
final class WaitingWrite: Sendable {
    private let bytes: [UInt8]
    private let offset: Int64
    private let reply: Reply<Int>
    private let done = Atomic<Int>(0)

    init(_ bytes: [UInt8], at offset: Int64, _ reply: @escaping Reply<Int>) {
        self.bytes = bytes
        self.offset = offset
        self.reply = reply
    }

    /// Writes what is left. Throws ENOSPC if that is not all.
    func goOn(in file: CachedFile) throws -> Int {
        while true {
            let start = done.load(ordering: .relaxed)
            guard start < bytes.count else { return bytes.count }
            let rest = bytes[start...]
            let written = try file.write(at: offset + Int64(start), count: rest.count) {
                descriptor, offset throws(Errno) in
                try writeBytes(rest, to: descriptor, at: offset)
            }
            done.add(written, ordering: .relaxed)
        }
    }

    /// A write that ends before its end has written what it has (write(2)).
    func answer(_ result: Result<Int, Errno>) {
        let written = done.load(ordering: .relaxed)
        reply(written > 0 ? .success(written) : result)
    }
}
