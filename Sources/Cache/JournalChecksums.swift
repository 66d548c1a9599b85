import Foundation

/// Checksums of data files: see ``BlockChecksums``. They are of the object that a file stands on. Triggers of the inode table
/// remove them when a changed file is in the bucket, when it comes to stand on another object, and when nothing of it is
/// local any more.
extension JournalTransaction {
    /// Empty if there are none.
    func checksums(of number: InodeNumber, page: Int64) throws -> [UInt8] {
        let sql = "SELECT checksums FROM checksum WHERE ino = ? AND page = ?"
        return try first(sql, [number.sql, page]) { $0[0] } ?? []
    }

    /// Does nothing for a file of which nothing is local.
    func setChecksums(of number: InodeNumber, _ pages: BlockChecksums.Pages) throws {
        for (page, bytes) in pages {
            try execute(
                """
                INSERT OR REPLACE INTO checksum (ino, page, checksums)
                SELECT ino, ?, ? FROM inode WHERE ino = ? AND local <> 0
                """, [page, bytes.withUnsafeBytes { Data($0) }, number.sql])
        }
    }
}
