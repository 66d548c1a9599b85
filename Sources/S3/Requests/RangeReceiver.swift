import ObjectStore
import Synchronization

/// Hands the body of GetObject to a sink exactly once and in order, over as many connections as it takes: after a break
/// the next request asks for the rest of the same version.
final class RangeReceiver: BodyReceiver {
    private struct State {
        /// Of the version that the first answer described.
        var info: ObjectInfo?
        /// The next byte that the sink wants.
        var next: Int64
        /// Behind the last byte that the sink wants; known with `info`.
        var end: Int64 = 0
    }

    private let key: ObjectKey
    private let range: Range<Int64>?
    private let ifMatch: ETag?
    private let sink: any ByteSink
    private let state: Mutex<State>

    init(_ key: ObjectKey, range: Range<Int64>?, ifMatch: ETag?, into sink: any ByteSink) {
        self.key = key
        self.range = range
        self.ifMatch = ifMatch
        self.sink = sink
        state = Mutex(State(next: range?.lowerBound ?? 0))
    }

    /// The next byte that the sink wants.
    var position: Int64 { state.withLock { $0.next } }

    /// The request for what is missing.
    func request() -> S3Request {
        let (next, etag) = state.withLock { ($0.next, $0.info?.etag ?? ifMatch) }
        var request = S3Request(method: .get, key: key)
        if let range {
            request.headers.append(("Range", "bytes=\(next)-\(range.upperBound - 1)"))
        } else if next > 0 {
            request.headers.append(("Range", "bytes=\(next)-"))
        }
        if let etag { request.headers.append(("If-Match", etag.quoted)) }
        request.receiver = self
        return request
    }

    /// What was read, if every byte arrived. Throws `.unreachable` if the connection ended early.
    func finish() throws(StoreError) -> ObjectInfo {
        let state = state.withLock { $0 }
        guard let info = state.info else { throw StoreError(.badAnswer, message: "the answer has no body") }
        guard state.next == state.end else {
            throw StoreError(.unreachable, message: "the connection ended \(state.end - state.next) bytes early")
        }
        return info
    }

    func begin(_ head: HTTPResponse) throws -> Bool {
        guard head.status == 200 || head.status == 206 else { return false }
        let (sent, size) = try extent(head)
        let info = try ObjectHeaders.info(key, size: size, head.headers)
        let known = try state.withLock { state in
            guard sent.lowerBound == state.next else { throw Self.wrongRange }
            if let known = state.info {
                guard known.etag == info.etag, sent.upperBound == state.end else { throw Self.wrongRange }
                return true
            }
            state.info = info
            state.end = sent.upperBound
            return false
        }
        if !known { try locally { try sink.begin(info) } }
        return true
    }

    func receive(_ bytes: UnsafeRawBufferPointer) throws {
        let (next, end) = state.withLock { ($0.next, $0.end) }
        guard Int64(bytes.count) <= end - next else { throw Self.wrongRange }
        try locally { try sink.write(bytes, at: next) }
        state.withLock { $0.next += Int64(bytes.count) }
    }

    /// Which bytes of the object this answer holds, and how many the object has.
    private func extent(_ head: HTTPResponse) throws(StoreError) -> (Range<Int64>, size: Int64) {
        if head.status == 200 {
            let size = try ObjectHeaders.contentLength(head.headers)
            guard range.map({ $0.lowerBound == 0 && $0.upperBound >= size }) ?? true else { throw Self.wrongRange }
            return (0..<size, size)
        }
        let (sent, size) = try ObjectHeaders.contentRange(head.headers)
        guard sent.upperBound == min(range?.upperBound ?? size, size) else { throw Self.wrongRange }
        return (sent, size)
    }

    private static let wrongRange = StoreError(.badAnswer, message: "the store sent other bytes than were asked for")

    private func locally(_ action: () throws -> Void) throws(StoreError) {
        do {
            try action()
        } catch {
            throw StoreError(.localFault, message: "\(error)")
        }
    }
}
