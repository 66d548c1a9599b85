import ObjectStore
import Synchronization

/// Hands the body of GetObject to a sink exactly once and in order, over as many connections as it takes: after a break
/// the next request asks for the rest of the same version.
///
/// A whole object is compared with the checksum that its store gives (``PromisedChecksum``). A small one is kept back
/// until then, and asked for again if it is wrong; of a larger one the sink gets the bytes as they arrive, and an error
/// at the end. A part of an object can only be checked by its length, its place and the ETag.
final class RangeReceiver: BodyReceiver {
    /// Objects up to this size are checked before the sink gets them. Bytes.
    static let heldSize: Int64 = 1 << 20

    private struct State {
        /// Of the version that the first answer described.
        var info: ObjectInfo?
        /// The next byte that is wanted.
        var next: Int64
        /// Behind the last byte that is wanted; known with `info`.
        var end: Int64 = 0
        /// Of a whole object whose store tells what it comes to.
        var check: BodyCheck?
        /// Bytes that wait for the check; nil if the sink gets them as they arrive.
        var held: [UInt8]?
        /// Bytes that the sink has already turned out to be wrong.
        var failure: StoreError?
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

    /// The next byte that is wanted.
    var position: Int64 { state.withLock { $0.next } }

    /// The request for what is missing. Throws `.corrupted` if what the sink has cannot be mended.
    func request() throws(StoreError) -> S3Request {
        let (next, etag, failure) = state.withLock { ($0.next, $0.info?.etag ?? ifMatch, $0.failure) }
        if let failure { throw failure }
        var request = S3Request(method: .get, key: key)
        if let range {
            request.headers.append(("Range", "bytes=\(next)-\(range.upperBound - 1)"))
        } else if next > 0 {
            request.headers.append(("Range", "bytes=\(next)-"))
        }
        if let etag { request.headers.append(("If-Match", etag.quoted)) }
        if next == 0 { request.headers.append(("x-amz-checksum-mode", "ENABLED")) }
        request.receiver = self
        return request
    }

    /// What was read, if every byte arrived and is right. Throws `.unreachable` if the connection ended early,
    /// `.corrupted`, and what the sink throws.
    func finish() throws(StoreError) -> ObjectInfo {
        let (info, held) = try state.withLock { (state) throws(StoreError) in try Self.finish(&state) }
        if let held {
            try locally {
                try sink.begin(info)
                if !held.isEmpty { try held.withUnsafeBytes { try sink.write($0, at: 0) } }
            }
        }
        return info
    }

    private static func finish(_ state: inout State) throws(StoreError) -> (ObjectInfo, held: [UInt8]?) {
        guard let info = state.info else { throw StoreError(.badAnswer, message: "the answer has no body") }
        guard state.next == state.end else {
            throw StoreError(.unreachable, message: "the connection ended \(state.end - state.next) bytes early")
        }
        guard let check = state.check, !check.isKept() else {
            return (info, state.held)
        }
        let error = StoreError(
            .corrupted,
            message: "\(info.size) bytes arrived that do not have the \(check.promised.algorithm) that the store tells"
        )
        state = State(next: 0, failure: state.held == nil ? error : nil)
        throw error
    }

    func begin(_ head: HTTPResponse) throws -> Bool {
        guard head.status == 200 || head.status == 206 else { return false }
        let wanted = state.withLock { $0.info?.etag ?? ifMatch }
        if let error = ForeignAnswer.error(inHeadOf: head, expecting: wanted) { throw error }
        let (sent, size) = try extent(head)
        let info = try ObjectHeaders.info(key, size: size, head.headers)
        let isForSink = try state.withLock { (state) throws(StoreError) in
            guard info.etag == wanted ?? info.etag else { throw Self.anotherVersion }
            guard sent.lowerBound == state.next else { throw Self.wrongRange }
            if let known = state.info {
                guard known.size == size, sent.upperBound == state.end else { throw Self.wrongRange }
                return false
            }
            state.info = info
            state.end = sent.upperBound
            guard sent == 0..<size, let promised = PromisedChecksum(head.headers, etag: info.etag) else { return true }
            state.check = BodyCheck(promised)
            guard size <= Self.heldSize else { return true }
            state.held = []
            state.held?.reserveCapacity(Int(size))
            return false
        }
        if isForSink { try locally { try sink.begin(info) } }
        return true
    }

    func receive(_ bytes: UnsafeRawBufferPointer) throws {
        let (next, isHeld, check) = try state.withLock { (state) throws(StoreError) in
            guard Int64(bytes.count) <= state.end - state.next else { throw Self.wrongRange }
            state.held?.append(contentsOf: bytes)
            return (state.next, state.held != nil, state.check)
        }
        check?.add(bytes)
        if !isHeld { try locally { try sink.write(bytes, at: next) } }
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
    private static let anotherVersion = StoreError(
        .preconditionFailed,
        message: "the store sent another version of the object than was asked for"
    )

    /// What a sink throws of its own says what went wrong better than a fault of this machine does.
    private func locally(_ action: () throws -> Void) throws(StoreError) {
        do {
            try action()
        } catch let error as StoreError {
            throw error
        } catch {
            throw StoreError(.localFault, message: "\(error)")
        }
    }
}
