import Platform

/// Which bytes of a file are on the local disk, for a file that stands on an object of the bucket.
///
/// A byte below ``baseLimit`` that is not ``present`` must be fetched from the object; every other byte is local.
/// A new file has a limit of 0.
struct FileExtents: Equatable, Sendable {
    /// The object shows through below this offset; truncation lowers it for good.
    private(set) var baseLimit: Int64
    /// Below the limit; local bytes, fetched or written.
    private(set) var present: RangeSet

    /// Every byte is local.
    static let complete = FileExtents(baseLimit: 0)

    /// No byte of an object of `baseLimit` bytes is local.
    init(baseLimit: Int64) {
        self.baseLimit = baseLimit
        present = RangeSet()
    }

    /// The file is an object of `size` bytes now, as it is; what lies behind the former one is local.
    mutating func extendBase(to size: Int64) {
        present.insert(baseLimit..<max(baseLimit, size))
        baseLimit = max(baseLimit, size)
    }

    var isComplete: Bool { present.contains(0..<baseLimit) }

    func missing(in range: Range<Int64>) -> [Range<Int64>] {
        present.gaps(in: range.clamped(to: 0..<baseLimit))
    }

    mutating func apply(_ record: RangeLogRecord) {
        switch record {
        case .present(let range):
            present.insert(range.clamped(to: 0..<baseLimit))
        case .absent(let range):
            present.remove(range)
        case .limit(let size):
            baseLimit = min(baseLimit, size)
            present.remove(baseLimit..<Int64.max)
        case .synced, .boot, .version:
            break
        }
    }
}
