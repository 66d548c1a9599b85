import Cache
import FileSystem
import Platform
import Synchronization
import TestKit

import struct SystemPackage.Errno
import struct SystemPackage.FileDescriptor

/// The kernel's side of passthrough: it moves bytes between programs and data files by itself. It caches nothing.
///
/// A write changes the time of the file by the world's clock, which stands still between two writes if nobody moves it.
final class SimulatedKernel: KernelPassthrough, KernelCache {
    private struct State {
        var last: Int32 = 0
        var files: [BackingNumber: PosixDiskFile] = [:]
    }

    private let time: ManualTime
    private let state = Mutex(State())

    init(time: ManualTime) {
        self.time = time
    }

    let isAvailable = true

    func register(_ descriptor: Int32) -> BackingNumber? {
        guard let own = try? FileDescriptor(rawValue: descriptor).duplicate() else { return nil }
        return state.withLock { state in
            state.last += 1
            let backing = BackingNumber(rawValue: state.last)
            state.files[backing] = PosixDiskFile(owning: own.rawValue)
            return backing
        }
    }

    func unregister(_ backing: BackingNumber) {
        _ = state.withLock { $0.files.removeValue(forKey: backing) }
    }

    func invalidate(_ inode: InodeNumber) {}

    func invalidate(_ name: FileName, in directory: InodeNumber) {}

    // MARK: Programs

    func read(_ backing: BackingNumber, at offset: Int64, count: Int) throws -> [UInt8] {
        let file = try file(backing)
        return try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
        }
    }

    /// At the end of the file if `offset` is nil, as O_APPEND says.
    func write(_ bytes: [UInt8], to backing: BackingNumber, at offset: Int64?) throws -> Int {
        let file = try file(backing)
        let former = try file.status()
        // As since Linux 6.13: a write after a look shows in the time.
        if former.modified == time.wall { time.advance(by: .nanoseconds(1)) }
        try file.write(bytes, at: offset ?? former.size)
        try file.setModified(time.wall)
        return bytes.count
    }

    private func file(_ backing: BackingNumber) throws -> PosixDiskFile {
        guard let file = state.withLock({ $0.files[backing] }) else { throw Errno.badFileDescriptor }
        return file
    }
}
