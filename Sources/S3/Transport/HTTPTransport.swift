import ObjectStore

/// Sends requests and gives back answers: HTTP over libcurl. Safe to call from any task, many at a time.
///
/// An answer of any status is a success here; only a lack of one throws.
final class HTTPTransport: Sendable {
    private let loop: CurlLoop
    private let traffic: (any TrafficObserver)?

    init(_ limits: CurlLoop.Limits, traffic: (any TrafficObserver)?) throws(StoreError) {
        loop = try CurlLoop(limits)
        self.traffic = traffic
    }

    deinit { loop.stop() }

    /// Throws `.unreachable`, `.untrusted`, `.badAnswer`, `.localFault`, `.cancelled`, and what the receiver throws.
    func send(_ request: HTTPRequest) async throws(StoreError) -> HTTPResponse {
        guard request.isWellFormed else {
            throw StoreError(.refused, message: "a header of the request holds a line break")
        }
        let transfer = CurlTransfer(request, traffic: traffic)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                transfer.continuation = continuation
                loop.submit(transfer)
            }
        } onCancel: {
            loop.cancel(transfer)
        }
        return try result.get()
    }
}
