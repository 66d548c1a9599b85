import CCurl
import ObjectStore
import Synchronization

/// One request under way: what libcurl's callbacks read and fill.
///
/// SAFETY: made by the caller's task, then handed through the loop's mutex to the loop's thread, which alone touches
/// the mutable state from then on; `isCancelled` is atomic.
final class CurlTransfer: @unchecked Sendable {
    /// All header lines of an answer together, bytes.
    static let headerLimit = 64 << 10

    let request: HTTPRequest
    let isCancelled = Atomic<Bool>(false)
    /// Set before it is handed to the loop.
    var continuation: CheckedContinuation<Result<HTTPResponse, StoreError>, Never>?
    var headerList: UnsafeMutablePointer<curl_slist>?
    let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))

    private let traffic: (any TrafficObserver)?
    private var response: HTTPResponse?
    private var headerSize = 0
    private var sentCount: Int64 = 0
    private var bodyStarted = false
    private var receiverTakesBody = false
    private var failure: StoreError?

    init(_ request: HTTPRequest, traffic: (any TrafficObserver)?) {
        self.request = request
        self.traffic = traffic
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
        errorText.deallocate()
        if let headerList { curl_slist_free_all(headerList) }
    }

    func resume(_ result: Result<HTTPResponse, StoreError>) {
        continuation?.resume(returning: result)
        continuation = nil
    }

    /// What the whole transfer came to when libcurl says that it ended with `code`.
    func outcome(_ code: CURLcode) -> Result<HTTPResponse, StoreError> {
        if code == CURLE_OK { startBody() }
        if let failure { return .failure(failure) }
        guard code == CURLE_OK else { return .failure(StoreError(code, detail: String(cString: errorText))) }
        guard let response else { return .failure(StoreError(.badAnswer, message: "the answer has no status")) }
        return .success(response)
    }

    // MARK: Called back by libcurl; returning anything but the number of bytes ends the transfer.

    func receiveHeader(_ bytes: UnsafeRawBufferPointer) -> Int {
        headerSize += bytes.count
        guard headerSize <= Self.headerLimit else {
            return fail(StoreError(.badAnswer, message: "the answer's headers are over 64 KiB"))
        }
        let text = String(
            decoding: bytes.prefix { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        if text.hasPrefix("HTTP/") {
            let status = text.split(separator: " ").dropFirst().first.flatMap { Int($0) }
            response = HTTPResponse(status: status ?? 0)
        } else {
            response?.headers.add(line: text[...])
        }
        return bytes.count
    }

    func receiveBody(_ bytes: UnsafeRawBufferPointer) -> Int {
        traffic?.received(bytes.count)
        guard startBody() else { return 0 }
        if receiverTakesBody {
            return attempt { try request.receiver?.receive(bytes) } ? bytes.count : 0
        }
        guard (response?.body.count ?? 0) + bytes.count <= request.bodyLimit else {
            return fail(StoreError(.badAnswer, message: "the answer is over \(request.bodyLimit) bytes"))
        }
        response?.body.append(contentsOf: bytes)
        return bytes.count
    }

    /// Asks the receiver once; false if that failed.
    @discardableResult
    private func startBody() -> Bool {
        guard !bodyStarted, failure == nil, let response else { return failure == nil }
        bodyStarted = true
        return attempt { receiverTakesBody = try request.receiver?.begin(response) ?? false }
    }

    func sendBody(_ room: UnsafeMutableRawBufferPointer) -> Int {
        let count = Int(min(Int64(room.count), request.body.count - sentCount))
        guard count > 0 else { return 0 }
        let piece = UnsafeMutableRawBufferPointer(rebasing: room[..<count])
        let isRead = attempt {
            switch request.body {
            case .none: break
            case .bytes(let bytes): piece.copyBytes(from: bytes[Int(sentCount)...].prefix(count))
            case .source(let source): try source.read(into: piece, at: sentCount)
            }
        }
        guard isRead else { return Int(CURL_READFUNC_ABORT) }
        sentCount += Int64(count)
        traffic?.sent(count)
        return count
    }

    /// The connection was lost before an answer: libcurl sends the body again on another.
    func rewind(to offset: Int64) -> Bool {
        guard (0...request.body.count).contains(offset) else { return false }
        sentCount = offset
        return true
    }

    private func fail(_ error: StoreError) -> Int {
        failure = error
        return 0
    }

    private func attempt(_ action: () throws -> Void) -> Bool {
        do {
            try action()
            return true
        } catch let error as StoreError {
            failure = error
        } catch {
            failure = StoreError(.localFault, message: "\(error)")
        }
        return false
    }
}
