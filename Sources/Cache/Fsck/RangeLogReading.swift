import Platform

extension RangeLog {
    /// Which bytes a range log says are local, of a data file of `size` bytes; nil if it cannot be told.
    ///
    /// - Parameter object: what the file stands on; nil if that is not known, and any log will do.
    static func localRanges(
        in bytes: [UInt8], of object: RemoteObject?, size: Int64, boot: BootIdentity
    ) -> [Range<Int64>]? {
        let records = records(in: bytes)
        guard case .boot? = records.first else { return nil }
        if let object {
            let version = fingerprint(of: object.etag)
            guard records.first == .boot(version) || records.contains(.version(version)) else { return nil }
        }
        var extents = FileExtents(baseLimit: object?.size ?? size)
        for record in trusted(records, boot: boot) { extents.apply(record) }
        let limit = min(extents.baseLimit, size)
        let absent = extents.missing(in: 0..<limit)
        var local: [Range<Int64>] = []
        var start: Int64 = 0
        for gap in absent + [size..<size] {
            if start < gap.lowerBound { local.append(start..<gap.lowerBound) }
            start = gap.upperBound
        }
        return local
    }
}
