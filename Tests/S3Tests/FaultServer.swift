import Glibc
import Synchronization

/// An HTTP server on the loopback that answers as a test says, also wrongly: it stalls, breaks off, closes.
final class FaultServer: Sendable {
    struct Request: Sendable {
        var method = ""
        var target = ""
        /// Names in lower case.
        var headers: [String: String] = [:]
        var body: [UInt8] = []
    }

    struct Reply: Sendable {
        var status = 200
        var headers: [String: String] = [:]
        var body: [UInt8] = []
        /// What Content-Length says; nil for the truth.
        var claimedLength: Int?
        /// Nothing more is sent and the connection stays open.
        var stalls = false
        /// The connection is closed without any answer.
        var hangsUp = false
        /// Sent in place of everything else.
        var raw: [UInt8]?

        static func xml(_ text: String, status: Int = 200) -> Reply { Reply(status: status, body: Array(text.utf8)) }

        static func error(_ code: String, _ status: Int, _ extra: String = "") -> Reply {
            xml("<Error><Code>\(code)</Code><Message>m</Message>\(extra)</Error>", status: status)
        }
    }

    let port: Int
    private let listener: Int32
    private let answer: @Sendable (Int, Request) -> Reply
    private let log = Mutex<[Request]>([])
    private let connections = Mutex<[Int32]>([])

    /// `answer` gets the number of the request, counted from 0 over all connections.
    init(_ answer: @escaping @Sendable (Int, Request) -> Reply) throws {
        self.answer = answer
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 64) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard isBound else { throw Failure() }
        port = Int(UInt16(bigEndian: address.sin_port))
        spawn { $0.accept() }
    }

    struct Failure: Error {}

    var requests: [Request] { log.withLock { $0 } }

    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        connections.withLock { connections in
            for connection in connections { shutdown(connection, Int32(SHUT_RDWR)) }
            connections = []
        }
    }

    private func accept() {
        while true {
            let connection = Glibc.accept(listener, nil, nil)
            guard connection >= 0 else { break }
            connections.withLock { $0.append(connection) }
            spawn { $0.serve(connection) }
        }
        // Not in `stop`: until this thread is done with it, its number must not name another server's socket.
        close(listener)
    }

    private func serve(_ connection: Int32) {
        defer {
            connections.withLock { $0.removeAll { $0 == connection } }
            close(connection)
        }
        while let request = receive(connection) {
            let number = log.withLock { log in
                log.append(request)
                return log.count - 1
            }
            guard send(answer(number, request), to: request, connection) else { return }
        }
    }

    /// Whether the connection goes on.
    private func send(_ reply: Reply, to request: Request, _ connection: Int32) -> Bool {
        if reply.hangsUp { return false }
        if let raw = reply.raw {
            write(raw, connection)
            return false
        }
        var head = "HTTP/1.1 \(reply.status) x\r\nContent-Length: \(reply.claimedLength ?? reply.body.count)\r\n"
        for (name, value) in reply.headers { head += "\(name): \(value)\r\n" }
        write(Array((head + "\r\n").utf8), connection)
        if request.method != "HEAD" { write(reply.body, connection) }
        if reply.stalls {
            var byte: UInt8 = 0
            while recv(connection, &byte, 1, 0) > 0 {}
            return false
        }
        return reply.claimedLength == nil || reply.claimedLength == reply.body.count
    }

    private func receive(_ connection: Int32) -> Request? {
        var text: [UInt8] = []
        var byte: UInt8 = 0
        while !text.suffix(4).elementsEqual([13, 10, 13, 10]) {
            guard recv(connection, &byte, 1, 0) == 1 else { return nil }
            text.append(byte)
        }
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\r\n")
        let words = lines[0].split(separator: " ")
        var request = Request(method: String(words[0]), target: String(words[1]))
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1).map(String.init)
            request.headers[parts[0].lowercased()] = parts.count > 1 ? String(parts[1].drop { $0 == " " }) : ""
        }
        if request.headers["expect"] != nil { write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8), connection) }
        var body = [UInt8](repeating: 0, count: request.headers["content-length"].flatMap { Int($0) } ?? 0)
        var filled = 0
        while filled < body.count {
            let count = body.withUnsafeMutableBytes {
                recv(connection, $0.baseAddress?.advanced(by: filled), $0.count - filled, 0)
            }
            guard count > 0 else { return nil }
            filled += count
        }
        request.body = body
        return request
    }

    private func write(_ bytes: [UInt8], _ connection: Int32) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(connection, $0.baseAddress?.advanced(by: sent), $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            sent += count
        }
    }

    private func spawn(_ work: @escaping @Sendable (FaultServer) -> Void) {
        final class Box: Sendable {
            let work: @Sendable () -> Void
            init(_ work: @escaping @Sendable () -> Void) { self.work = work }
        }
        let box = Unmanaged.passRetained(Box { [self] in work(self) })
        var thread = pthread_t()
        pthread_create(
            &thread,
            nil,
            { context in
                if let context { Unmanaged<Box>.fromOpaque(context).takeRetainedValue().work() }
                return nil
            },
            box.toOpaque()
        )
        pthread_detach(thread)
    }
}
