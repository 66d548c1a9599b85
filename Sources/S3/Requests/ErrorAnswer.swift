import ObjectStore

/// Turns an answer that is no success into a ``StoreError``. Pure.
///
/// Codes: "Error responses", Amazon S3 API reference; those of compatible stores beside them. A code says more than a
/// status; without one (HEAD has no body) the status decides.
enum ErrorAnswer {
    /// Nil if the answer is not an error. Copies and completions may send an error after the status 200.
    static func error(in response: HTTPResponse) -> StoreError? {
        if !response.isSuccess { return error(response) }
        guard mayBeError(response.body), let answer = try? XMLRecords(parsing: response.body), answer.root == "Error"
        else { return nil }
        return error(response, answer)
    }

    /// Spares large answers a second reading: the root stands near the start, behind the XML declaration and the white
    /// space with which S3 keeps a connection alive while it works.
    private static func mayBeError(_ body: [UInt8]) -> Bool {
        let start = body.drop { $0 == 0x20 || (0x09...0x0d).contains($0) }.prefix(512)
        return String(decoding: start, as: UTF8.self).contains("<Error")
    }

    /// An error within a successful answer, such as a key that DeleteObjects could not delete.
    static func error(code: String, message: String, requestID: String) -> StoreError {
        StoreError(
            kind(code: code, message: message, HTTPResponse(status: 200), region: nil),
            code: code,
            message: message.isEmpty ? "refused by the store" : message,
            requestID: requestID,
            status: 200
        )
    }

    private static func error(_ response: HTTPResponse) -> StoreError {
        let answer = try? XMLRecords(parsing: response.body)
        return error(response, answer?.root == "Error" ? answer : nil)
    }

    private static func error(_ response: HTTPResponse, _ answer: XMLRecords?) -> StoreError {
        let code = answer?.fields["Code"] ?? ""
        let message = answer?.fields["Message"] ?? ""
        let region = answer?.fields["Region"] ?? response.headers["x-amz-bucket-region"]
        return StoreError(
            kind(code: code, message: message, response, region: region),
            code: code,
            message: message.isEmpty ? "the store answered \(response.status)" : message,
            requestID: response.headers["x-amz-request-id"] ?? answer?.fields["RequestId"] ?? "",
            status: response.status,
            region: region
        )
    }

    private static func kind(
        code: String,
        message: String,
        _ response: HTTPResponse,
        region: String?
    ) -> StoreError.Kind {
        // The two codes that mean several things.
        if code == "AuthorizationHeaderMalformed" { return region == nil ? .badCredentials : .wrongRegion }
        if code == "InvalidRequest", message.contains("maximum allowable size") { return .tooLarge }
        if let kind = kinds[code] { return kind }
        if code.hasPrefix("Throttl") { return .throttled }
        return kind(status: response.status, isBare: code.isEmpty, region: region)
    }

    private static func kind(status: Int, isBare: Bool, region: String?) -> StoreError.Kind {
        switch status {
        case 301, 307, 308: .wrongRegion
        // To HEAD, a signature for another region is a bare 400 with the bucket's region in a header.
        case 400 where isBare && region != nil: .wrongRegion
        case 401: .badCredentials
        case 403: .accessDenied
        case 404: .notFound
        case 405, 501: .unsupported
        case 409: .conflict
        case 412: .preconditionFailed
        case 413: .tooLarge
        case 416: .invalidRange
        case 429, 503: .throttled
        case 500...599: .serverFault
        default: .refused
        }
    }

    private static let kinds: [String: StoreError.Kind] = [
        "NoSuchKey": .notFound,
        "NoSuchBucket": .noSuchBucket,
        "NoSuchUpload": .noSuchUpload,
        "AccessDenied": .accessDenied,
        "AllAccessDisabled": .accessDenied,
        "AccountProblem": .accessDenied,
        "InvalidAccessKeyId": .badCredentials,
        "SignatureDoesNotMatch": .badCredentials,
        "InvalidToken": .badCredentials,
        "ExpiredToken": .badCredentials,
        "TokenRefreshRequired": .badCredentials,
        "InvalidSecurity": .badCredentials,
        "NotSignedUp": .badCredentials,
        "PermanentRedirect": .wrongRegion,
        "TemporaryRedirect": .wrongRegion,
        "Redirect": .wrongRegion,
        "IllegalLocationConstraintException": .wrongRegion,
        "RequestTimeTooSkewed": .clockSkewed,
        "RequestExpired": .clockSkewed,
        "PreconditionFailed": .preconditionFailed,
        "ConditionalRequestConflict": .conflict,
        "OperationAborted": .conflict,
        "InvalidRange": .invalidRange,
        "InvalidPart": .invalidPart,
        "InvalidPartOrder": .invalidPart,
        "EntityTooSmall": .invalidPart,
        "BadDigest": .corrupted,
        "InvalidDigest": .corrupted,
        "IncompleteBody": .corrupted,
        "XAmzContentSHA256Mismatch": .corrupted,
        "XAmzContentChecksumMismatch": .corrupted,
        "EntityTooLarge": .tooLarge,
        "MaxMessageLengthExceeded": .tooLarge,
        "KeyTooLongError": .invalidKey,
        "InvalidObjectState": .archived,
        "SlowDown": .throttled,
        "SlowDownRead": .throttled,
        "SlowDownWrite": .throttled,
        "TooManyRequests": .throttled,
        "TooManyRequestsException": .throttled,
        "RequestLimitExceeded": .throttled,
        "BandwidthLimitExceeded": .throttled,
        "RequestThrottled": .throttled,
        "RequestThrottledException": .throttled,
        "ServiceUnavailable": .throttled,
        "InternalError": .serverFault,
        "InternalFailure": .serverFault,
        "RequestTimeout": .serverFault,
        "RequestTimeoutException": .serverFault,
        "PriorRequestNotComplete": .serverFault,
        "NotImplemented": .unsupported,
        "MethodNotAllowed": .unsupported,
    ]
}
