import ObjectStore
import Platform
import Testing

@testable import S3

struct ErrorAnswerTests {
    private func response(_ status: Int, code: String? = nil, extra: String = "", headers: HTTPHeaders = [:])
        -> HTTPResponse
    {
        let body = code.map { "<?xml version=\"1.0\"?><Error><Code>\($0)</Code><Message>why</Message>\(extra)</Error>" }
        return HTTPResponse(status: status, headers: headers, body: Array((body ?? "").utf8))
    }

    @Test(arguments: [
        ("NoSuchKey", 404, StoreError.Kind.notFound), ("NoSuchBucket", 404, .noSuchBucket),
        ("NoSuchUpload", 404, .noSuchUpload), ("AccessDenied", 403, .accessDenied),
        ("InvalidAccessKeyId", 403, .badCredentials), ("SignatureDoesNotMatch", 403, .badCredentials),
        ("ExpiredToken", 400, .badCredentials), ("RequestTimeTooSkewed", 403, .clockSkewed),
        ("PreconditionFailed", 412, .preconditionFailed), ("ConditionalRequestConflict", 409, .conflict),
        ("OperationAborted", 409, .conflict), ("InvalidRange", 416, .invalidRange), ("InvalidPart", 400, .invalidPart),
        ("EntityTooSmall", 400, .invalidPart), ("BadDigest", 400, .corrupted),
        ("XAmzContentSHA256Mismatch", 400, .corrupted), ("EntityTooLarge", 400, .tooLarge),
        ("KeyTooLongError", 400, .invalidKey), ("InvalidObjectState", 403, .archived), ("SlowDown", 503, .throttled),
        ("ThrottlingException", 400, .throttled), ("InternalError", 500, .serverFault),
        ("RequestTimeout", 400, .serverFault), ("NotImplemented", 501, .unsupported), ("Unheard", 400, .refused),
        ("Unheard", 502, .serverFault),
    ])
    func codesHaveTheirKind(_ code: String, _ status: Int, _ kind: StoreError.Kind) throws {
        let error = try #require(
            ErrorAnswer.error(in: response(status, code: code, headers: ["x-amz-request-id": "R1"]))
        )
        #expect(error == StoreError(kind, code: code, message: "why", requestID: "R1", status: status))
    }

    @Test(arguments: [
        (301, StoreError.Kind.wrongRegion), (400, .refused), (401, .badCredentials), (403, .accessDenied),
        (404, .notFound), (409, .conflict), (412, .preconditionFailed), (413, .tooLarge), (416, .invalidRange),
        (429, .throttled), (500, .serverFault), (501, .unsupported), (503, .throttled), (504, .serverFault),
    ])
    func aBareStatusHasItsKind(_ status: Int, _ kind: StoreError.Kind) {
        #expect(ErrorAnswer.error(in: response(status))?.kind == kind)
    }

    @Test func anErrorAfterStatus200IsAnError() {
        let error = ErrorAnswer.error(in: response(200, code: "InternalError"))
        #expect(error?.kind == .serverFault)
        #expect(error?.isTransient == true)
        #expect(ErrorAnswer.error(in: response(200)) == nil)
        let fine = HTTPResponse(status: 200, body: Array("<CopyObjectResult><ETag>e</ETag></CopyObjectResult>".utf8))
        #expect(ErrorAnswer.error(in: fine) == nil)
    }

    @Test func theRegionComesFromBodyOrHeader() {
        let body = response(400, code: "AuthorizationHeaderMalformed", extra: "<Region>eu-west-1</Region>")
        #expect(ErrorAnswer.error(in: body)?.kind == .wrongRegion)
        #expect(ErrorAnswer.error(in: body)?.region == "eu-west-1")
        let head = response(400, headers: ["x-amz-bucket-region": "eu-west-1"])
        #expect(ErrorAnswer.error(in: head)?.kind == .wrongRegion)
        #expect(ErrorAnswer.error(in: response(400, code: "AuthorizationHeaderMalformed"))?.kind == .badCredentials)
    }

    @Test func aCopyOfTooLargeAnObjectIsTooLarge() {
        let text =
            "<Error><Code>InvalidRequest</Code><Message>The specified copy source is larger than the maximum "
            + "allowable size for a copy source: 5368709120</Message></Error>"
        #expect(ErrorAnswer.error(in: HTTPResponse(status: 400, body: Array(text.utf8)))?.kind == .tooLarge)
    }

    @Test func anHTMLPageOfAProxyIsJudgedByItsStatus() throws {
        let page = HTTPResponse(status: 502, body: Array("<html><body>Bad Gateway<br></body></html>".utf8))
        let error = try #require(ErrorAnswer.error(in: page))
        #expect(error.kind == .serverFault)
        #expect(error.code.isEmpty)
    }

    @Test func aForeignClockIsToldFromADenial() {
        let denied = StoreError(.accessDenied, message: "m", status: 403)
        let now = Timestamp(seconds: 1_000_000)
        let diagnosed = { (date: Int64) in
            StoreKnowledge.diagnosed(denied, date: Timestamp(seconds: date), signedAt: now).kind
        }
        #expect(diagnosed(1_000_890) == .accessDenied)
        #expect(diagnosed(1_000_910) == .clockSkewed)
        #expect(diagnosed(999_000) == .clockSkewed)
    }

    @Test func regionAndClockAreLearned() {
        var knowledge = StoreKnowledge(region: "us-east-1")
        let wrong = StoreError(.wrongRegion, message: "m", region: "eu-west-1")
        let isNew = knowledge.learn(from: wrong, date: nil, monotonic: .zero)
        #expect(isNew && knowledge.region == "eu-west-1")
        let isNewAgain = knowledge.learn(from: wrong, date: nil, monotonic: .zero)
        #expect(!isNewAgain)
        let skewed = StoreError(.clockSkewed, message: "m")
        let isCorrectedWithoutDate = knowledge.learn(from: skewed, date: nil, monotonic: .zero)
        #expect(!isCorrectedWithoutDate)
        let now = Timestamp(seconds: 1_700_000_000)
        let isCorrected = knowledge.learn(from: skewed, date: now, monotonic: .seconds(10))
        #expect(isCorrected)
        #expect(knowledge.storeTime(wall: Timestamp(seconds: 5), monotonic: .seconds(10)) == now)
    }
}
