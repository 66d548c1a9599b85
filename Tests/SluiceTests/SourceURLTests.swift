import Testing

@testable import sluice

@Suite struct SourceURLTests {
    @Test(arguments: [
        ("s3://bucket", SourceURL.s3(bucket: "bucket", prefix: "")),
        ("s3://bucket/", .s3(bucket: "bucket", prefix: "")),
        ("s3://bucket/a/b", .s3(bucket: "bucket", prefix: "a/b/")),
        ("S3://bucket/a//b/", .s3(bucket: "bucket", prefix: "a/b/")),
        ("file:///srv/bucket", .directory("/srv/bucket")),
        ("file:///srv/bucket///", .directory("/srv/bucket")),
        ("file:///", .directory("/")),
    ])
    func sourcesAreRead(text: String, source: SourceURL) throws {
        #expect(try SourceURL(text) == source)
    }

    @Test(arguments: [
        "", "bucket", "http://bucket", "s3://", "s3:///prefix", "s3://key:secret@bucket", "s3://bucket/a/../b",
        "s3://bucket?x=1", "file://relative", "file:/srv",
    ])
    func othersAreWrongUsage(text: String) {
        #expect { try SourceURL(text) } throws: { ($0 as? CommandFailure)?.code == .usage }
    }
}
