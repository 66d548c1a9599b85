import Cache
import Foundation
import Fuse
import Platform
import Transfer

import struct SystemPackage.Errno

/// Serves commands from the parts of a running engine.
struct EngineControl: MountControl {
    let engine: Engine
    let source: String
    let mountPoint: String
    let stateDirectory: String
    /// Of the way to the bucket; those of the store itself come with its use.
    let warnings: [String]
    /// Nil: it is switched off.
    let passthrough: FusePassthrough?
    /// Ends the mount; returns at once.
    let onEnd: @Sendable () -> Void

    func status() throws -> StatusReport {
        let writeback = engine.writeback.status
        let usage = try engine.cache.usage()
        let pending = try remainder("")
        let (conflicts, errors) = try engine.journal.read { (try $0.events(.conflict), try $0.events(.error)) }
        return StatusReport(
            source: source, mountpoint: mountPoint, stateDirectory: stateDirectory,
            pending: StatusReport.Pending(files: pending.files, bytes: pending.bytes, operations: pending.operations),
            uploading: writeback.uploading.map {
                StatusReport.Upload(path: $0.path, bytesDone: $0.bytesDone, bytesTotal: $0.bytesTotal)
            },
            link: StatusReport.Link(state: writeback.link.rawValue, reason: writeback.linkReason),
            conflicts: conflicts.map(Self.event),
            errors: errors.map(Self.event)
                + writeback.errors.map { StatusReport.Event(path: $0.path, message: $0.message, time: nil) },
            warnings: warnings + writeback.warnings,
            cache: StatusReport.Cache(
                usedBytes: usage.used, dirtyBytes: usage.dirty, limitBytes: usage.limit),
            rates: StatusReport.Rates(
                uploadBytesPerSecond: writeback.uploadBytesPerSecond,
                downloadBytesPerSecond: engine.fetcher.bytesPerSecond),
            waiting: try engine.fileSystem.waiting.map {
                StatusReport.Waiting(
                    writers: $0.writers, seconds: $0.longest / .seconds(1), reason: $0.reason.rawValue)
            },
            passthrough: passthroughStatus)
    }

    private var passthroughStatus: StatusReport.Passthrough {
        let obstacle = passthrough.map(\.obstacle) ?? "passthrough = false"
        return StatusReport.Passthrough(state: obstacle == nil ? "on" : "off", reason: obstacle)
    }

    func drain(_ path: String) async throws {
        try await engine.writeback.drained(under: try inode(path))
    }

    func remainder(_ path: String) throws -> ControlAnswer.Remainder {
        let top = try inode(path)
        let (pending, tombstones) = try engine.journal.read { transaction in
            (try transaction.pendingUnder(top), top == .root ? try transaction.tombstoneCount() : 0)
        }
        let content = pending.filter { $0.pending.contains(.content) }
        let bytes = content.reduce(Int64(0)) { $0 + (engine.cache.status(of: $1.number)?.size ?? $1.size) }
        return ControlAnswer.Remainder(
            files: content.count, bytes: bytes, operations: pending.count - content.count + tombstones)
    }

    func pause() { engine.writeback.pause() }
    func resume() { engine.writeback.resume() }
    func end() { onEnd() }

    private func inode(_ path: String) throws -> InodeNumber {
        guard let inode = try engine.journal.read({ try $0.inode(at: path) }) else { throw Errno.noSuchFileOrDirectory }
        return inode.number
    }

    private static func event(_ event: JournalEvent) -> StatusReport.Event {
        let date = Date(timeIntervalSince1970: Double(event.time.nanoseconds) / 1e9)
        return StatusReport.Event(path: event.path, message: event.message, time: date.formatted(.iso8601))
    }
}
