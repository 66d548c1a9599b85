import ObjectStore
import Synchronization

/// Requests to those who give temporary keys, over a transport of their own that starts with the first of them.
final class CredentialsHTTP: Sendable {
    /// A document of keys; bytes.
    static let bodyLimit = 64 << 10

    private let caBundle: String?
    private let patience: Duration
    private let transport = Mutex<HTTPTransport?>(nil)

    /// - Parameter patience: the most that any request may take.
    init(caBundle: String? = nil, patience: Duration = .seconds(15)) {
        self.caBundle = caBundle
        self.patience = patience
    }

    /// A request that is given up after `timeout`.
    static func request(
        _ method: HTTPRequest.Method, _ url: String, headers: [(name: String, value: String)] = [],
        timeout: Duration
    ) -> HTTPRequest {
        var request = HTTPRequest(method: method, url: url, headers: headers, stallTimeout: timeout)
        request.bodyLimit = bodyLimit
        request.connectTimeout = timeout
        request.totalTimeout = timeout
        return request
    }

    /// Throws what ``HTTPTransport/send(_:)`` throws.
    func send(_ request: HTTPRequest) async throws(StoreError) -> HTTPResponse {
        let transport = try transport.withLock { (known) throws(StoreError) in
            if let known { return known }
            let limits = CurlLoop.Limits(concurrency: 4, connectTimeout: .seconds(5), caBundle: caBundle)
            let new = try HTTPTransport(limits, traffic: nil)
            known = new
            return new
        }
        var request = request
        request.totalTimeout = min(request.totalTimeout ?? patience, patience)
        return try await transport.send(request)
    }
}
