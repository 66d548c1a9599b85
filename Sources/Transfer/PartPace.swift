/// How many parts of a file are sent at once, by how long parts took. Pure.
///
/// On a quick link, as many as hide its round trips; on a slow one few: the more there are, the longer each takes, and what
/// was sent of a part that is not done is lost when the link breaks.
struct PartPace: Equatable, Sendable {
    private static let quick = Duration.seconds(1)
    private static let slow = Duration.seconds(4)

    private let bounds: ClosedRange<Int>
    private(set) var count: Int

    /// - Parameter most: at once, at least 1.
    init(most: Int) {
        bounds = min(2, most)...most
        count = min(4, most)
    }

    /// Whether the link is a quick one, on which a part took, or has taken so far, that long.
    static func isQuick(_ duration: Duration) -> Bool { duration < quick }

    /// A part of full size was sent, beside so many others.
    mutating func sent(in duration: Duration) {
        if Self.isQuick(duration) {
            count = min(count + 1, bounds.upperBound)
        } else if duration > Self.slow {
            count = max(count / 2, bounds.lowerBound)
        }
    }
}
