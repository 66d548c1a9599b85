/// Checksums of the blocks of a data file, for bytes that are as in the bucket, and which of them were compared with the
/// disk since the file was opened.
///
/// They lie in the journal in pages of many blocks, and are loaded page by page: see ``missingPages(of:)``. Pure; where
/// the bytes come from is the business of ``CachedFile``.
struct BlockChecksums: Sendable {
    /// Bytes.
    static let blockSize: Int64 = 256 << 10
    /// Blocks of a page: 128 MiB of a file, 4 KiB in the journal.
    static let pageLength: Int64 = 512

    /// Numbers of pages and their bytes for the journal.
    typealias Pages = [(page: Int64, bytes: [UInt8])]

    private struct Block {
        /// XXH3, 64 bits; 0: not known.
        var checksum: UInt64 = 0
        var isChecked = false
    }

    private struct Page {
        /// Up to the last of which something is known.
        var blocks: [Block] = []
        var isUnsaved = false
    }

    private var pages: [Int64: Page] = [:]
    /// Whether the journal may have pages that are not here.
    private let isStored: Bool

    init(isStored: Bool) {
        self.isStored = isStored
    }

    /// Numbers of the blocks that have bytes in `range`.
    static func blocks(in range: Range<Int64>) -> Range<Int64> {
        guard !range.isEmpty else { return 0..<0 }
        return range.lowerBound / blockSize..<(range.upperBound - 1) / blockSize + 1
    }

    /// The bytes of a block in a file of `size` bytes.
    static func bytes(of block: Int64, size: Int64) -> Range<Int64> {
        let start = block * blockSize
        return start..<max(start, min(start + blockSize, size))
    }
}

// MARK: Blocks

extension BlockChecksums {
    /// Nil if it is not known.
    func checksum(of block: Int64) -> UInt64? {
        self[block].checksum == 0 ? nil : self[block].checksum
    }

    func areChecked(_ blocks: Range<Int64>) -> Bool { blocks.allSatisfy { self[$0].isChecked } }

    /// The bytes of the block were found to be right, or there is nothing to compare them with.
    mutating func check(_ block: Int64) {
        self[block].isChecked = true
    }

    mutating func learn(_ checksum: UInt64, of block: Int64) {
        guard self[block].checksum != checksum else { return check(block) }
        self[block] = Block(checksum: checksum, isChecked: true)
        pages[block / Self.pageLength]?.isUnsaved = true
    }

    /// The bytes of `range` change.
    mutating func forget(_ range: Range<Int64>) {
        let blocks = Self.blocks(in: range)
        for (number, page) in pages {
            let start = number * Self.pageLength
            let known = blocks.clamped(to: start..<start + Int64(page.blocks.count))
            for block in known { self[block] = Block() }
        }
    }

    private subscript(block: Int64) -> Block {
        get {
            guard let blocks = pages[block / Self.pageLength]?.blocks else { return Block() }
            let index = Int(block % Self.pageLength)
            return index < blocks.count ? blocks[index] : Block()
        }
        set {
            let index = Int(block % Self.pageLength)
            var page = pages.removeValue(forKey: block / Self.pageLength) ?? Page()
            while page.blocks.count <= index { page.blocks.append(Block()) }
            page.blocks[index] = newValue
            pages[block / Self.pageLength] = page
        }
    }
}

// MARK: Pages

extension BlockChecksums {
    /// Pages of `blocks` that have to be loaded before the blocks are asked for or learned.
    func missingPages(of blocks: Range<Int64>) -> [Int64] {
        guard isStored, let last = blocks.last else { return [] }
        return (blocks.lowerBound / Self.pageLength...last / Self.pageLength).filter { pages[$0] == nil }
    }

    /// `bytes`: as ``unsavedPages`` gave them; empty if nothing is stored. Of what is damaged, less is known.
    mutating func load(_ page: Int64, _ bytes: [UInt8]) {
        pages[page] = Page(blocks: Self.checksums(in: bytes).map { Block(checksum: $0) })
    }

    /// The checksums of a page: 8 bytes each, little-endian, 0 for one that is not known.
    static func checksums(in bytes: [UInt8]) -> [UInt64] {
        stride(from: 0, through: bytes.count - 8, by: 8).prefix(Int(pageLength)).map { start in
            bytes[start..<start + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        }
    }

    /// Pages of what is known of blocks that lie before `end`.
    func pages(before end: Int64) -> Pages {
        let count = end / Self.blockSize
        return pages.keys.filter { $0 * Self.pageLength < count }.sorted().compactMap { number in
            pages[number].map { page in
                (
                    number,
                    Self.bytes(of: page.blocks.prefix(Int(min(Self.pageLength, count - number * Self.pageLength))))
                )
            }
        }
    }

    private static func bytes(of blocks: some Sequence<Block>) -> [UInt8] {
        blocks.flatMap { block in (0..<8).map { UInt8(truncatingIfNeeded: block.checksum >> ($0 * 8)) } }
    }

    /// The journal has lost them.
    mutating func markUnsaved() {
        for number in pages.keys where pages[number]?.blocks.contains(where: { $0.checksum != 0 }) == true {
            pages[number]?.isUnsaved = true
        }
    }

    var isUnsaved: Bool { pages.values.contains(where: \.isUnsaved) }

    /// Pages with checksums that are not in the journal; from then on they count as saved.
    mutating func takeUnsaved() -> Pages {
        pages.keys.filter { pages[$0]?.isUnsaved == true }.sorted().compactMap { number in
            pages[number]?.isUnsaved = false
            return pages[number].map { (number, Self.bytes(of: $0.blocks)) }
        }
    }
}
