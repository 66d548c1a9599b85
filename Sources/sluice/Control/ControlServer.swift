import Foundation
import Logging
import Platform
import Synchronization

import struct SystemPackage.Errno

/// What the daemon does at the request of commands.
protocol MountControl: Sendable {
    func status() throws -> StatusReport
    /// Brings everything at and below a path into the bucket; returns when it is there or the task is cancelled. Throws
    /// ENOENT if there is no such path.
    func drain(_ path: String) async throws
    func remainder(_ path: String) throws -> ControlAnswer.Remainder
    func pause()
    func resume()
    /// Ends the mount; returns at once.
    func end()
}

/// Answers commands on the control socket: a thread that accepts, and one for each connection.
final class ControlServer: Sendable {
    private static let connectionLimit = 32
    /// A command says what it wants at once. Seconds.
    private static let requestTimeout = 10
    private static let progressInterval: Duration = .seconds(1)
    /// Seconds.
    private static let retryPause = 0.1
    /// Longer is for ever. Seconds; keeps arithmetic with it from overflowing.
    private static let longestTimeout: Double = 1e9
    private static let requestLimit = 64 << 10

    private let directory: String
    private let control: any MountControl
    private let time: any TimeSource
    private let logger: Logger
    private let listener: ControlSocket
    private let isStopped = Atomic(false)
    private let connections = Mutex<[ObjectIdentifier: ControlSocket]>([:])

    /// Listens in the state directory and starts to answer.
    init(in directory: String, control: any MountControl, time: any TimeSource, logger: Logger) throws(Errno) {
        self.directory = directory
        self.control = control
        self.time = time
        self.logger = logger
        listener = try ControlSocket.listen(in: directory)
        Thread.detachNewThread { [self] in accept() }
    }

    /// Ends all connections and takes the socket away.
    func stop() {
        isStopped.store(true, ordering: .releasing)
        ControlSocket.remove(in: directory)
        listener.shut()
        for connection in connections.withLock({ $0.values.map { $0 } }) { connection.shut() }
    }

    private func accept() {
        while !isStopped.load(ordering: .acquiring) {
            do {
                admit(try listener.accept())
            } catch {
                // Out of descriptors or memory, or a client that has gone: commands are served again after a while.
                Thread.sleep(forTimeInterval: Self.retryPause)
            }
        }
    }

    private func admit(_ connection: ControlSocket) {
        guard let user = connection.peer, user == geteuid() || user == 0 else { return }
        connection.setTimeouts(reading: Self.requestTimeout, writing: Self.requestTimeout)
        let isAdmitted = connections.withLock { connections in
            guard connections.count < Self.connectionLimit else { return false }
            connections[ObjectIdentifier(connection)] = connection
            return true
        }
        guard isAdmitted else { return refuse(connection, "too many commands at once: try again") }
        Thread.detachNewThread { [self] in serve(connection) }
    }

    private func refuse(_ connection: ControlSocket, _ reason: String) {
        guard let line = try? ControlCoding.line(ControlAnswer(error: reason)) else { return }
        try? connection.write(line)
    }

    private func serve(_ connection: ControlSocket) {
        defer { _ = connections.withLock { $0.removeValue(forKey: ObjectIdentifier(connection)) } }
        do {
            while let line = try connection.readLine(limit: Self.requestLimit) {
                guard let request = try? ControlCoding.message(ControlRequest.self, from: line) else {
                    return refuse(connection, "the request is not understood: the daemon may be of another version")
                }
                if request.action == .attend { return attend(connection) }
                try answer(request, on: connection)
            }
        } catch {
            logger.debug("a control connection ended", metadata: ["error": "\(error)"])
        }
    }

    /// Until the other side or the daemon ends.
    private func attend(_ connection: ControlSocket) {
        connection.setTimeouts(reading: 0, writing: Self.requestTimeout)
        while (try? connection.readLine(limit: Self.requestLimit)) != nil {}
    }

    private func answer(_ request: ControlRequest, on connection: ControlSocket) throws {
        var answer = ControlAnswer()
        do {
            switch request.action {
            case .status: answer.status = try control.status()
            case .pause: control.pause()
            case .resume: control.resume()
            case .end: control.end()
            case .drain: answer.remainder = try drain(request, on: connection)
            case .attend: break
            }
        } catch let errno as Errno where errno == .noSuchFileOrDirectory {
            answer.error = "there is no such file in the mount"
        } catch let errno as Errno where errno == .brokenPipe || errno == .connectionReset {
            throw errno
        } catch {
            answer.error = "\(error)"
        }
        try connection.write(ControlCoding.line(answer))
    }

    /// Drains on a task while this thread tells of the progress.
    private func drain(_ request: ControlRequest, on connection: ControlSocket) throws -> ControlAnswer.Remainder {
        let path = request.path ?? ""
        let outcome = Mutex<Result<Void, any Error>?>(nil)
        let ended = DispatchSemaphore(value: 0)
        let task = Task { [control] in
            let result: Result<Void, any Error>
            do { result = .success(try await control.drain(path)) } catch { result = .failure(error) }
            outcome.withLock { $0 = result }
            ended.signal()
        }
        defer { task.cancel() }
        let start = time.monotonic
        let limit = request.timeout.map { Duration.seconds(max(0, min($0, Self.longestTimeout))) }
        while true {
            let left = limit.map { max(.zero, $0 - (time.monotonic - start)) } ?? Self.progressInterval
            let wait = min(left, Self.progressInterval)
            if ended.wait(timeout: .now() + wait / .seconds(1)) == .success {
                try outcome.withLock { $0 }?.get()
                return ControlAnswer.Remainder(files: 0, bytes: 0, operations: 0)
            }
            let remainder = try control.remainder(path)
            if let limit, time.monotonic - start >= limit { return remainder }
            try connection.write(ControlCoding.line(ControlAnswer(progress: remainder)))
        }
    }
}
