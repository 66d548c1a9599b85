import Foundation
import ObjectStore
import TestKit
import Testing

@testable import Cache

/// Uploads in parts, as a restart finds them in the journal.
struct JournalUploadTests {
    private let directory: TemporaryDirectory
    private let inode = InodeNumber(rawValue: 7)
    private let part = PartRecord(
        part: UploadedPart(number: 3, etag: ETag("e"), size: 5, md5: "aa", checksum: "AAAAAAAAAAA="),
        fingerprint: Fingerprint(value: .max))

    init() throws { directory = try TemporaryDirectory() }

    private var path: String { directory.path("journal.db") }

    /// Journals the upload and its part, and closes the journal.
    private func record(_ checksum: Checksum.Algorithm?) throws {
        let journal = try Journal(path: path)
        try journal.write { transaction in
            let id = UploadID("u", checksum: checksum)
            try transaction.setMultipart(
                MultipartRecord(key: ObjectKey("k"), id: id, partSize: 8, token: "t"), of: inode)
            try transaction.setPart(part, of: inode)
        }
        try journal.close()
    }

    private func found() throws -> (uploads: [MultipartRecord?], parts: [PartRecord]) {
        let journal = try Journal(path: path)
        let (known, abandoned, parts) = try journal.read { transaction in
            try (transaction.multipart(of: inode), transaction.abandonedMultiparts(), transaction.parts(of: inode))
        }
        try journal.close()
        #expect(abandoned.map(\.inode) == [inode])
        return ([known] + abandoned.map(\.record), parts)
    }

    @Test(arguments: [nil, Checksum.Algorithm.crc64nvme])
    func allThatIsKnownOfAnUploadIsFoundAgain(_ checksum: Checksum.Algorithm?) throws {
        try record(checksum)
        let (uploads, parts) = try found()
        for upload in uploads {
            #expect(upload == MultipartRecord(key: ObjectKey("k"), id: UploadID("u"), partSize: 8, token: "t"))
            #expect(upload?.id.checksum == checksum)
        }
        #expect(uploads.count == 2 && parts == [part])
    }

    @Test func anUploadOfBeforeThereWereChecksumsGoesOnWithoutOne() throws {
        try record(.crc64nvme)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/sqlite3")
        process.arguments = [
            path,
            """
            ALTER TABLE upload DROP COLUMN checksum;
            ALTER TABLE part DROP COLUMN checksum;
            PRAGMA user_version = 4;
            """,
        ]
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        let (uploads, parts) = try found()
        var former = part
        former.part.checksum = nil
        #expect(uploads.map { $0?.id } == [UploadID("u"), UploadID("u")] && parts == [former])
        #expect(uploads.allSatisfy { $0?.id.checksum == nil })
    }
}
