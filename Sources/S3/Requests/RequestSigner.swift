import ObjectStore
import Platform

/// Addresses, dates and signs an operation. Pure.
struct RequestSigner: Sendable {
    var address: BucketAddress
    var region: String
    var credentials: Credentials
    /// By the store's clock.
    var time: Timestamp
    var timeouts: Timeouts

    func sign(_ request: S3Request) -> HTTPRequest {
        let path = address.path(of: request.key?.string)
        let query = SigV4.canonicalQuery(request.query)
        let payloadHash = payloadHash(request)
        let signer = SigV4(region: region, time: time)
        var headers = request.headers
        if let digest = request.digest { headers.append(digest.header) }
        headers.append(("x-amz-content-sha256", payloadHash))
        headers.append(("x-amz-date", signer.time.basic))
        if let token = credentials.sessionToken { headers.append(("x-amz-security-token", token)) }
        let signed = SigV4.Request(
            method: request.method.rawValue,
            path: path,
            query: query,
            headers: headers + [("host", address.endpoint.authority)],
            payloadHash: payloadHash
        )
        headers.append(("Authorization", signer.authorization(signed, credentials: credentials)))
        return HTTPRequest(
            method: request.method,
            url: address.url(path: path, query: query),
            headers: headers,
            body: request.body,
            receiver: request.receiver,
            bodyLimit: request.bodyLimit,
            stallTimeout: request.isSlow ? timeouts.slowAnswer : timeouts.stall
        )
    }

    /// A streamed body is covered by the header of its checksum, which is signed. A body without a checksum is never sent.
    private func payloadHash(_ request: S3Request) -> String {
        if case .none = request.body { return SigV4.emptyPayloadHash }
        guard let digest = request.digest else { preconditionFailure("a body is sent with its digest") }
        return digest.sha256 ?? SigV4.unsignedPayload
    }
}
