import ObjectStore

/// The rules that every request to a ``MemoryStore`` goes by.
extension MemoryStore {
    static func check(_ key: ObjectKey) throws(StoreError) {
        guard (1...ObjectKey.maximumLength).contains(key.byteCount) else {
            throw StoreError(.invalidKey, code: "KeyTooLongError", message: "a key has 1 to 1024 bytes")
        }
    }

    static func find(_ key: ObjectKey, in state: State) throws(StoreError) -> Object {
        try check(key)
        guard let object = state.objects[key] else {
            throw StoreError(.notFound, code: "NoSuchKey", message: "no object at \(key)")
        }
        return object
    }

    static func find(_ key: ObjectKey, version: ETag, in state: State) throws(StoreError) -> Object {
        let object = try find(key, in: state)
        guard object.info.etag == version else { throw StoreError.conditionFailed(key) }
        return object
    }

    static func check(_ condition: WriteCondition, on key: ObjectKey, in state: State) throws(StoreError) {
        let current = state.objects[key]?.info.etag
        switch condition {
        case .none: break
        case .ifAbsent:
            if current != nil { throw StoreError.conditionFailed(key) }
        case .ifMatch(let etag):
            guard let current else { throw StoreError(.notFound, code: "NoSuchKey", message: "no object at \(key)") }
            if current != etag { throw StoreError.conditionFailed(key) }
        }
    }

    /// The indices that a range of a GET means.
    static func clip(_ range: Range<Int64>?, to info: ObjectInfo) throws(StoreError) -> Range<Int> {
        guard let range else { return 0..<Int(info.size) }
        guard range.lowerBound >= 0, range.lowerBound < info.size, !range.isEmpty else {
            throw StoreError(.invalidRange, code: "InvalidRange", message: "\(range) is outside \(info.key)")
        }
        return Int(range.lowerBound)..<Int(min(range.upperBound, info.size))
    }

    /// In pieces, as a network does it.
    static func deliver(_ bytes: UnsafeRawBufferPointer, at start: Int, to sink: any ByteSink) throws {
        let pieceSize = 64 << 10
        for position in stride(from: 0, to: bytes.count, by: pieceSize) {
            let piece = bytes[position..<min(position + pieceSize, bytes.count)]
            try sink.write(UnsafeRawBufferPointer(rebasing: piece), at: Int64(start + position))
        }
    }

    static func contents(_ body: any ByteSource) throws(StoreError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(body.count))
        do {
            try bytes.withUnsafeMutableBytes { try body.read(into: $0, at: 0) }
        } catch {
            throw StoreError(.localFault, message: "the source failed: \(error)")
        }
        return bytes
    }

    func checkCancellation() throws(StoreError) {
        if Task.isCancelled { throw StoreError(.cancelled, message: "the request was cancelled") }
    }
}

extension StoreError {
    static func conditionFailed(_ key: ObjectKey) -> StoreError {
        StoreError(
            .preconditionFailed, code: "PreconditionFailed", message: "\(key) is another version now", status: 412)
    }
}
