import ObjectStore
import Platform
import Testing

@testable import S3

/// The examples of "Authenticating Requests: Using the Authorization Header" (Amazon S3 API reference), published by
/// AWS with their signatures.
struct SigV4Tests {
    private static let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    private let signer = SigV4(region: "us-east-1", time: Timestamp(seconds: 1_369_353_600))

    private func request(
        _ method: String,
        _ path: String,
        query: [(name: String, value: String)] = [],
        headers: [(name: String, value: String)] = [],
        payloadHash: String = SigV4.emptyPayloadHash
    ) -> SigV4.Request {
        SigV4.Request(
            method: method,
            path: path,
            query: SigV4.canonicalQuery(query),
            headers: headers + [
                ("Host", "examplebucket.s3.amazonaws.com"), ("x-amz-date", "20130524T000000Z"),
                ("x-amz-content-sha256", payloadHash),
            ],
            payloadHash: payloadHash
        )
    }

    @Test func getObjectWithRange() {
        let request = request("GET", "/test.txt", headers: [("Range", "bytes=0-9")])
        #expect(
            signer.canonicalRequest(request) == """
                GET
                /test.txt

                host:examplebucket.s3.amazonaws.com
                range:bytes=0-9
                x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
                x-amz-date:20130524T000000Z

                host;range;x-amz-content-sha256;x-amz-date
                e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
                """
        )
        #expect(
            signer.stringToSign(request) == """
                AWS4-HMAC-SHA256
                20130524T000000Z
                20130524/us-east-1/s3/aws4_request
                7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972
                """
        )
        #expect(
            signer.signature(request, secret: Self.secret)
                == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        )
    }

    @Test func putObject() {
        let hash = Checksum.hex(Checksum.digest(.sha256, of: "Welcome to Amazon S3.".utf8))
        let request = request(
            "PUT",
            "/" + PercentEncoding.path("test$file.text"),
            headers: [("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            payloadHash: hash
        )
        #expect(
            signer.signature(request, secret: Self.secret)
                == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        )
    }

    @Test func getBucketLifecycle() {
        #expect(
            signer.signature(request("GET", "/", query: [("lifecycle", "")]), secret: Self.secret)
                == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        )
    }

    @Test func listObjects() {
        let request = request("GET", "/", query: [("prefix", "J"), ("max-keys", "2")])
        #expect(
            signer.signature(request, secret: Self.secret)
                == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        )
    }

    @Test func theAuthorizationHeaderNamesScopeAndSignedHeaders() {
        let request = request("GET", "/test.txt", headers: [("Range", "bytes=0-9")])
        let credentials = Credentials(accessKeyID: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: Self.secret)
        #expect(
            signer.authorization(request, credentials: credentials)
                == "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                + "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
                + "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        )
    }

    @Test func aSignatureNeverFollowsTheSecretIntoADescription() {
        let credentials = Credentials(
            accessKeyID: "AKIAIOSFODNN7EXAMPLE",
            secretAccessKey: Self.secret,
            sessionToken: "tok"
        )
        var dumped = ""
        dump(credentials, to: &dumped)
        for text in ["\(credentials)", String(reflecting: credentials), dumped] {
            #expect(!text.contains(Self.secret) && !text.contains("tok"))
        }
    }
}
