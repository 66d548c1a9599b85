import CLinux
import Glibc
import Platform

import struct SystemPackage.Errno

/// One connection between a command and the daemon over a Unix socket: lines in both directions.
///
/// Closed when the last reference goes.
///
/// SAFETY: the descriptor never changes, and only the one thread that reads touches the buffer.
final class ControlSocket: @unchecked Sendable {
    private let descriptor: Int32
    private var buffer: [UInt8] = []

    static let name = "control.sock"

    init(owning descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Connects to the socket in a directory. The path goes through `/proc/self/fd`, as an address holds only 107
    /// bytes (unix(7)).
    static func connect(in directory: String) throws(Errno) -> ControlSocket {
        let holder = try systemCall { sluice_openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0) }
        defer { close(holder) }
        let socket = ControlSocket(owning: try makeSocket())
        try withAddress(in: holder) { address, size throws(Errno) in
            _ = try systemCall { Glibc.connect(socket.descriptor, address, size) }
        }
        return socket
    }

    /// A listening socket in a directory, in the place of one that a dead daemon left.
    static func listen(in directory: String) throws(Errno) -> ControlSocket {
        let holder = try systemCall { sluice_openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0) }
        defer { close(holder) }
        unlinkat(holder, name, 0)
        let socket = ControlSocket(owning: try makeSocket())
        try withAddress(in: holder) { address, size throws(Errno) in
            _ = try systemCall { bind(socket.descriptor, address, size) }
        }
        _ = try systemCall { Glibc.listen(socket.descriptor, 16) }
        return socket
    }

    static func remove(in directory: String) { unlink(directory + "/" + name) }

    /// Waits for the next connection; throws when the socket was shut.
    func accept() throws(Errno) -> ControlSocket {
        let connection = ControlSocket(owning: try systemCall { Glibc.accept(descriptor, nil, nil) })
        _ = fcntl(connection.descriptor, F_SETFD, FD_CLOEXEC)
        return connection
    }

    /// Makes pending and later calls on the socket, also in other threads, fail or end.
    func shut() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// The user at the other end; nil if the kernel does not tell.
    var peer: uid_t? {
        let user = sluice_peer_user(descriptor)
        return user < 0 ? nil : uid_t(user)
    }

    /// Calls wait no longer than this, in seconds; 0 for as long as it takes.
    func setTimeouts(reading: Int, writing: Int) {
        for (option, seconds) in [(SO_RCVTIMEO, reading), (SO_SNDTIMEO, writing)] {
            var time = timeval(tv_sec: seconds, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    /// The next line without its end; nil at the end of the stream. Throws EMSGSIZE for a line over `limit` bytes.
    func readLine(limit: Int) throws(Errno) -> [UInt8]? {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(buffer[..<end])
                buffer.removeFirst(end + 1)
                return line
            }
            guard buffer.count <= limit else { throw .messageTooLong }
            let size = chunk.count
            let count = try systemCall { recv(descriptor, &chunk, size, 0) }
            if count == 0 { return nil }
            buffer += chunk.prefix(count)
        }
    }

    func write(_ bytes: [UInt8]) throws(Errno) {
        var sent = 0
        while sent < bytes.count {
            sent += try systemCall {
                bytes.withUnsafeBytes { bytes in
                    send(descriptor, bytes.baseAddress?.advanced(by: sent), bytes.count - sent, Int32(MSG_NOSIGNAL))
                }
            }
        }
    }

    private static func makeSocket() throws(Errno) -> Int32 {
        try systemCall { socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0) }
    }

    private static func withAddress(
        in holder: Int32, _ body: (UnsafePointer<sockaddr>, socklen_t) throws(Errno) -> Void
    ) throws(Errno) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array("/proc/self/fd/\(holder)/\(name)".utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        var failure: Errno?
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                do throws(Errno) { try body(pointer, socklen_t(MemoryLayout<sockaddr_un>.size)) } catch {
                    failure = error
                }
            }
        }
        if let failure { throw failure }
    }
}
