import Platform

/// Which bytes of one file are on the way: decides what a new wish adds.
struct FetchPlan: Equatable, Sendable {
    /// One request covers at most this many bytes, so that many run side by side.
    static let chunkSize: Int64 = 8 << 20
    /// A hole of no more than this between two ranges is fetched with them: a request costs more. Bytes.
    static let mergeGap: Int64 = 64 << 10

    private(set) var underWay = RangeSet()

    var isIdle: Bool { underWay.isEmpty }

    /// The requests to make for the missing ranges of a wish, ascending; they count as under way from now on.
    mutating func begin(missing: [Range<Int64>]) -> [Range<Int64>] {
        let wanted = missing.flatMap { underWay.gaps(in: $0) }
        let requests = Self.merged(wanted).flatMap(Self.chunks)
        for request in requests { underWay.insert(request) }
        return requests
    }

    mutating func end(_ request: Range<Int64>) {
        underWay.remove(request)
    }

    private static func merged(_ ranges: [Range<Int64>]) -> [Range<Int64>] {
        ranges.reduce(into: []) { merged, range in
            if let last = merged.last, range.lowerBound - last.upperBound <= mergeGap {
                merged[merged.endIndex - 1] = last.lowerBound..<range.upperBound
            } else {
                merged.append(range)
            }
        }
    }

    /// Cut at multiples of the chunk size, so that wishes which overlap meet in the same requests.
    private static func chunks(_ range: Range<Int64>) -> [Range<Int64>] {
        var chunks: [Range<Int64>] = []
        var start = range.lowerBound
        while start < range.upperBound {
            let end = min(range.upperBound, (start / chunkSize + 1) * chunkSize)
            chunks.append(start..<end)
            start = end
        }
        return chunks
    }
}
