import Platform
import SystemPackage

extension DataExamination {
    /// Bytes in local blocks of a file that is as in the bucket which differ from their checksums, or which the disk cannot
    /// read.
    func damagedBytes(of inode: Inode, in ranges: [Range<Int64>]) -> Int64 {
        guard let pages = contents.checksums[inode.number.sql],
            let file = try? tree.open(FileCache.dataName(inode.number))
        else { return 0 }
        let local = RangeSet(ranges)
        var damaged: Int64 = 0
        for (page, bytes) in pages where 0..<inode.size / BlockChecksums.blockSize + 1 ~= page {
            for (index, expected) in BlockChecksums.checksums(in: bytes).enumerated() where expected != 0 {
                let block = page * BlockChecksums.pageLength + Int64(index)
                let place = BlockChecksums.bytes(of: block, size: inode.size)
                guard !place.isEmpty, local.contains(place) else { continue }
                if file.blockChecksum(of: place) != expected { damaged += place.length }
            }
        }
        return damaged
    }
}
