import CLinux
import Fuse
import Glibc
import Logging
import SystemPackage
import Testing

@testable import class WorldKit.MountedSession

/// A session on a directory of its own, ended and taken away by ``end()``.
final class TestMount: Sendable {
    let fileSystem: MemoryFileSystem
    let kernelCache: FuseKernelCache
    private let mounted: MountedSession

    var session: FuseSession { mounted.session }
    var path: String { mounted.path }

    init(_ fileSystem: MemoryFileSystem = MemoryFileSystem(), options: MountOptions = .test) throws {
        self.fileSystem = fileSystem
        let logger = Logger(label: "test")
        kernelCache = FuseKernelCache(logger: logger)
        mounted = try MountedSession(fileSystem, options, kernelCache, logger)
    }

    /// Ends as umount(8) does, or by stop().
    @discardableResult
    func end(byStop: Bool = false) -> FuseSession.End { mounted.end(byStop: byStop) }

    func callAsFunction(_ name: String) -> String { path + "/" + name }
}

extension MountOptions {
    static let test = MountOptions(source: "test:a,b\\c")
}

/// Runs a body with a mount; the session is over when it returns.
func withMount(
    _ fileSystem: MemoryFileSystem = MemoryFileSystem(),
    options: MountOptions = .test,
    _ body: (TestMount) throws -> Void
) throws {
    let mount = try TestMount(fileSystem, options: options)
    defer { mount.end() }
    try body(mount)
}

func currentErrno() -> Errno { Errno(rawValue: errno) }

/// The result of a call that returns -1 on error; throws its errno.
@discardableResult
func check(_ result: Int) throws -> Int {
    guard result >= 0 else { throw currentErrno() }
    return result
}

@discardableResult
func check(_ result: Int32) throws -> Int32 {
    guard result >= 0 else { throw currentErrno() }
    return result
}

func writeFile(_ path: String, _ bytes: [UInt8], flags: Int32 = O_WRONLY | O_CREAT | O_TRUNC) throws {
    let descriptor = try check(open(path, flags, 0o644))
    defer { close(descriptor) }
    var done = 0
    while done < bytes.count {
        done += try check(bytes.withUnsafeBytes { write(descriptor, $0.baseAddress! + done, bytes.count - done) })
    }
}

func readFile(_ path: String, flags: Int32 = O_RDONLY) throws -> [UInt8] {
    let descriptor = try check(open(path, flags))
    defer { close(descriptor) }
    return try readAll(descriptor)
}

func readAll(_ descriptor: Int32, chunk: Int = 1 << 20) throws -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: chunk)
    while true {
        let count = try check(read(descriptor, &buffer, chunk))
        if count == 0 { return bytes }
        bytes += buffer[..<count]
    }
}

func status(_ path: String) throws -> stat {
    var status = stat()
    try check(lstat(path, &status))
    return status
}

func list(_ path: String) throws -> [String] {
    guard let stream = opendir(path) else { throw currentErrno() }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
        names.append(
            withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
        )
    }
    return names
}

/// Bytes that no other seed gives, cheap to make.
func pattern(_ count: Int, seed: UInt64) -> [UInt8] {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
        for index in 0..<count {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            buffer[index] = UInt8(truncatingIfNeeded: state)
        }
        initialized = count
    }
}

/// Waits up to ten seconds for something to become true.
func eventually(_ condition: () -> Bool) -> Bool {
    for _ in 0..<6000 {
        if condition() { return true }
        usleep(10_000)
    }
    return condition()
}
