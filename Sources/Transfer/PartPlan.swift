import ObjectStore
import Platform

/// How the bytes of one object are cut into requests.
struct PartPlan: Equatable, Sendable {
    /// Larger objects go in parts: one broken connection then costs one part.
    static let defaultSinglePutLimit: Int64 = 16 << 20
    private static let smallestPart: Int64 = 8 << 20

    /// Bytes in all.
    let size: Int64
    /// Bytes of every part but the last: R2 takes no others.
    let partSize: Int64

    /// Whether an object goes in parts at all.
    static func isMultipart(size: Int64, limits: MultipartLimits, singlePutLimit: Int64 = defaultSinglePutLimit) -> Bool
    {
        size > min(singlePutLimit, limits.maximumPartSize)
    }

    /// Parts for a new upload; nil if the store can hold no object of this size. `preferred` is the smallest part
    /// wished for; parts double until they are few enough, so that a file that grows keeps its part size for long.
    init?(size: Int64, limits: MultipartLimits, preferred: Int64 = smallestPart) {
        var partSize = min(max(preferred, limits.minimumPartSize), limits.maximumPartSize)
        while Self.count(size, partSize) > limits.maximumPartCount, partSize < limits.maximumPartSize {
            partSize = min(partSize * 2, limits.maximumPartSize)
        }
        self.init(size: size, partSize: partSize, limits: limits)
    }

    /// Parts for an upload that was begun with `partSize`; nil if the size does not fit it any more.
    init?(size: Int64, partSize: Int64, limits: MultipartLimits) {
        guard size > 0, partSize > 0, partSize <= limits.maximumPartSize,
            Self.count(size, partSize) <= limits.maximumPartCount
        else { return nil }
        self.size = size
        self.partSize = partSize
    }

    var count: Int { Int(Self.count(size, partSize)) }

    /// Bytes of part `number`, which counts from 1.
    func range(_ number: Int) -> Range<Int64> {
        let start = Int64(number - 1) * partSize
        return start..<min(start + partSize, size)
    }

    private static func count(_ size: Int64, _ partSize: Int64) -> Int64 {
        size / partSize + (size % partSize == 0 ? 0 : 1)
    }
}
