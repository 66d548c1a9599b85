import ObjectStore
import Platform

/// How the bytes of one object are cut into requests.
///
/// Where a store takes parts of several sizes, each tenth of the part numbers has parts twice as large as the tenth
/// before: a file may grow to any size without its first parts being sent anew.
struct PartPlan: Equatable, Sendable {
    /// Larger objects go in parts: one broken connection then costs one part.
    static let defaultSinglePutLimit: Int64 = 16 << 20
    private static let smallestPart: Int64 = 8 << 20

    /// Bytes in all.
    let size: Int64
    /// Bytes of the first parts.
    let partSize: Int64
    private let tiers: [Tier]

    /// Whether an object goes in parts at all.
    static func isMultipart(size: Int64, limits: MultipartLimits, singlePutLimit: Int64 = defaultSinglePutLimit) -> Bool
    {
        size > min(singlePutLimit, limits.maximumPartSize)
    }

    /// Parts for a new upload; nil if the store can hold no object of this size. `preferred` is the smallest part
    /// wished for; it doubles until the parts are few enough.
    init?(size: Int64, limits: MultipartLimits, preferred: Int64 = smallestPart) {
        var partSize = min(max(preferred, limits.minimumPartSize), limits.maximumPartSize)
        while Tier.all(from: partSize, limits).capacity < size, partSize < limits.maximumPartSize {
            partSize = min(partSize * 2, limits.maximumPartSize)
        }
        self.init(size: size, partSize: partSize, limits: limits)
    }

    /// Parts for an upload that was begun with `partSize`; nil if the size does not fit it any more.
    init?(size: Int64, partSize: Int64, limits: MultipartLimits) {
        guard size > 0, partSize > 0, partSize <= limits.maximumPartSize else { return nil }
        self.size = size
        self.partSize = partSize
        tiers = Tier.all(from: partSize, limits)
        guard size <= tiers.capacity else { return nil }
    }

    var count: Int {
        var (count, left) = (0, size)
        for tier in tiers {
            if left <= tier.capacity { return count + Int((left + tier.partSize - 1) / tier.partSize) }
            count += tier.count
            left -= tier.capacity
        }
        return count
    }

    /// Parts that more bytes behind the last do not change.
    var fullCount: Int { place(of: count).upperBound == size ? count : count - 1 }

    /// Bytes of part `number`, which counts from 1.
    func range(_ number: Int) -> Range<Int64> { place(of: number).clamped(to: 0..<size) }

    /// What part `number` covers in a file that is large enough.
    func place(of number: Int) -> Range<Int64> {
        var (index, start) = (Int64(number - 1), Int64(0))
        for tier in tiers {
            if index < tier.count {
                start += index * tier.partSize
                return start..<start + tier.partSize
            }
            index -= Int64(tier.count)
            start += tier.capacity
        }
        return start..<start
    }
}

/// Parts of one size.
private struct Tier: Equatable, Sendable {
    var count: Int
    var partSize: Int64

    var capacity: Int64 { Int64(count) * partSize }

    static func all(from partSize: Int64, _ limits: MultipartLimits) -> [Tier] {
        guard !limits.hasEqualParts else { return [Tier(count: limits.maximumPartCount, partSize: partSize)] }
        let count = max(1, limits.maximumPartCount / 10)
        var (left, size, tiers) = (limits.maximumPartCount, partSize, [Tier]())
        while left > 0 {
            // The largest size is for all that are left.
            let tier = Tier(count: size < limits.maximumPartSize ? min(count, left) : left, partSize: size)
            tiers.append(tier)
            left -= tier.count
            size = min(size * 2, limits.maximumPartSize)
        }
        return tiers
    }
}

extension [Tier] {
    fileprivate var capacity: Int64 { reduce(0) { $0 + $1.capacity } }
}
