import Cache
import Platform
import SystemPackage

// MARK: Ranges of files: space, holes, copies

extension FileSystem {
    /// Bytes of one answer to `copy`: what an interrupt waits for.
    private static let copyLimit = 16 << 20

    public func allocate(
        _ handle: HandleNumber, offset: Int64, length: Int64, _ allocation: Allocation, reply: @escaping Reply<Void>
    ) -> (any PendingOperation)? {
        let (end, isBeyond) = offset.addingReportingOverflow(length)
        guard offset >= 0, length > 0, !isBeyond else {
            reply(.failure(offset >= 0 && length > 0 ? .fileTooLarge : .invalidArgument))
            return nil
        }
        return change(handle, adding: allocation == .punchHole ? 0 : length, reply: reply) { file in
            try file.allocate(offset..<end, allocation)
        }
    }

    public func seek(_ handle: HandleNumber, _ goal: SparseSeek, from offset: Int64) throws(Errno) -> Int64 {
        let open = try self.handle(handle)
        guard mayBeMappedElsewhere(open) else { return try open.file.seek(goal, from: offset) }
        let size = open.file.status.size
        guard 0..<size ~= offset else { throw .noSuchAddressOrDevice }
        return goal == .data ? offset : size
    }

    /// What another program stored through a mapping may lie in the kernel's memory alone, where the data file has a
    /// hole: nobody may leave that out of a copy. Only handles for both reading and writing are mapped so (mmap(2)).
    private func mayBeMappedElsewhere(_ open: OpenFile) -> Bool {
        table.withLock { table in
            table.files.values.contains { other in
                other !== open && other.file === open.file && other.mode.isSuperset(of: [.read, .write])
            }
        }
    }

    public func copy(
        from source: HandleNumber, at sourceOffset: Int64, to target: HandleNumber, at targetOffset: Int64, count: Int,
        reply: @escaping Reply<Int>
    ) -> (any PendingOperation)? {
        do throws(Errno) {
            let piece = try pieceToCopy(from: source, at: sourceOffset, to: target, at: targetOffset, count: count)
            guard piece > 0 else {
                reply(.success(0))
                return nil
            }
            let bytes = try handle(source).file
            return change(target, adding: Int64(piece), reply: reply) { file in
                try file.write(at: targetOffset, count: piece) { descriptor, offset throws(Errno) in
                    try copyRange(of: bytes.descriptor, at: sourceOffset, to: descriptor, at: offset, count: piece)
                }
            }
        } catch {
            reply(.failure(error))
            return nil
        }
    }

    /// How many bytes one call copies.
    private func pieceToCopy(
        from source: HandleNumber, at sourceOffset: Int64, to target: HandleNumber, at targetOffset: Int64, count: Int
    ) throws(Errno) -> Int {
        let (source, target) = (try handle(source), try handle(target))
        guard source.mode.contains(.read), target.mode.contains(.write), !target.mode.contains(.append) else {
            throw .badFileDescriptor
        }
        guard sourceOffset >= 0, targetOffset >= 0, count >= 0 else { throw .invalidArgument }
        let length = min(Int64(count), max(0, source.file.status.size - sourceOffset))
        guard !targetOffset.addingReportingOverflow(length).overflow else { throw .fileTooLarge }
        let isWithin = source.file === target.file && abs(sourceOffset - targetOffset) < length
        guard !isWithin else { throw .invalidArgument }
        let piece = min(length, Int64(Self.copyLimit))
        do { try source.file.verify(sourceOffset..<sourceOffset + piece) } catch { throw failure(error) }
        // The caller then reads and writes, which fetches.
        guard piece == 0 || source.file.missing(in: sourceOffset..<sourceOffset + piece).isEmpty else {
            throw .notSupported
        }
        return Int(piece)
    }
}
