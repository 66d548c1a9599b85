/// A moment in the calendar's terms (UTC, proleptic Gregorian), and the forms of time that S3 and its users write.
public struct CalendarTime: Equatable, Sendable {
    public var year: Int
    /// 1 to 12.
    public var month: Int
    /// 1 to 31.
    public var day: Int
    public var hour: Int
    public var minute: Int
    public var second: Int
    public var nanosecond: Int = 0

    public init?(year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int, nanosecond: Int = 0) {
        guard (0...9999).contains(year), (1...12).contains(month), (1...31).contains(day), (0...23).contains(hour),
            (0...59).contains(minute), (0...60).contains(second), (0..<1_000_000_000).contains(nanosecond)
        else { return nil }
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
        self.nanosecond = nanosecond
    }

    /// Days are counted in eras of 400 years that begin on 1 March, so that the leap day is an era's last.
    public init(_ moment: Timestamp) {
        let seconds = Int(moment.seconds)
        let days = seconds >= 0 ? seconds / 86_400 : -((86_399 - seconds) / 86_400)
        let rest = seconds - days * 86_400
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        hour = rest / 3600
        minute = rest / 60 % 60
        second = rest % 60
        nanosecond = Int(moment.subsecondNanoseconds)
    }

    public var timestamp: Timestamp {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        return Timestamp(
            seconds: Int64(days * 86_400 + hour * 3600 + minute * 60 + second),
            nanoseconds: Int64(nanosecond)
        )
    }

    /// `20130524`.
    public var basicDate: String { padded(year, 4) + padded(month, 2) + padded(day, 2) }

    /// `20130524T000000Z` (ISO 8601 basic), the value of `x-amz-date`.
    public var basic: String { "\(basicDate)T\(padded(hour, 2))\(padded(minute, 2))\(padded(second, 2))Z" }

    /// Reads `2009-10-12T17:50:30.000Z` or another offset such as `+07:00` (RFC 3339); the fraction may have any length
    /// or be missing.
    public init?(iso8601 text: some Collection<UInt8>) {
        self.init(iso8601: Array(text))
    }

    /// Not generic, and fast for that: every entry of a listing has such a time.
    private init?(iso8601 text: [UInt8]) {
        var scanner = Scanner(text)
        guard let year = scanner.number(4), scanner.skip("-"), let month = scanner.number(2), scanner.skip("-"),
            let day = scanner.number(2), scanner.skip("T") || scanner.skip("t") || scanner.skip(" "),
            let hour = scanner.number(2), scanner.skip(":"), let minute = scanner.number(2), scanner.skip(":"),
            let second = scanner.number(2)
        else { return nil }
        let nanosecond = scanner.skip(".") ? scanner.fraction() : 0
        guard let offset = scanner.zone(), scanner.isAtEnd,
            let local = CalendarTime(
                year: year, month: month, day: day, hour: hour, minute: minute, second: second, nanosecond: nanosecond)
        else { return nil }
        let moment = local.timestamp
        self = CalendarTime(
            Timestamp(seconds: moment.seconds - Int64(offset), nanoseconds: moment.subsecondNanoseconds))
    }

    /// Reads `Fri, 24 May 2013 00:00:00 GMT`, the form in HTTP headers (RFC 9110, IMF-fixdate).
    public init?(http text: some StringProtocol) {
        self.init(http: Array(text.utf8))
    }

    /// Not generic, and fast for that: every object that is fetched comes with such a time.
    private init?(http text: [UInt8]) {
        var scanner = Scanner(text)
        guard scanner.skipWord(), let day = scanner.number(upTo: 2), scanner.skip(" "),
            let month = Self.months.firstIndex(where: { scanner.skipLetters($0) }), scanner.skip(" "),
            let year = scanner.number(4), scanner.skip(" "), let hour = scanner.number(2), scanner.skip(":"),
            let minute = scanner.number(2), scanner.skip(":"), let second = scanner.number(2), scanner.skip(" ")
        else { return nil }
        self.init(year: year, month: month + 1, day: day, hour: hour, minute: minute, second: second)
    }

    private static let months: [StaticString] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

/// Walks over the digits and marks of a date.
private struct Scanner {
    private var rest: ArraySlice<UInt8>

    init(_ text: [UInt8]) { rest = text[...] }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func skip(_ mark: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: mark) else { return false }
        rest.removeFirst()
        return true
    }

    /// Of ASCII letters.
    mutating func skipLetters(_ word: StaticString) -> Bool {
        let letters = UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
        guard rest.starts(with: letters) else { return false }
        rest.removeFirst(letters.count)
        return true
    }

    /// To behind the next space.
    mutating func skipWord() -> Bool {
        guard let space = rest.firstIndex(of: UInt8(ascii: " ")) else { return false }
        rest = rest[(space + 1)...]
        return true
    }

    mutating func number(_ width: Int) -> Int? {
        let former = rest.count
        return number(upTo: width).flatMap { former - rest.count == width ? $0 : nil }
    }

    /// At least one digit.
    mutating func number(upTo width: Int) -> Int? {
        guard var value = nextDigit() else { return nil }
        for _ in 1..<width {
            guard let digit = nextDigit() else { break }
            value = value * 10 + digit
        }
        return value
    }

    /// Seconds east of UTC.
    mutating func zone() -> Int? {
        if skip("Z") || skip("z") { return 0 }
        let isWest = skip("-")
        guard isWest || skip("+"), let hours = number(2), skip(":"), let minutes = number(2), hours < 24, minutes < 60
        else { return nil }
        return (hours * 3600 + minutes * 60) * (isWest ? -1 : 1)
    }

    /// Nanoseconds; digits beyond the ninth are dropped.
    mutating func fraction() -> Int {
        var value = 0
        var scale = 100_000_000
        while let digit = nextDigit() {
            value += digit * scale
            scale /= 10
        }
        return value
    }

    private mutating func nextDigit() -> Int? {
        guard let byte = rest.first, (48...57).contains(byte) else { return nil }
        rest.removeFirst()
        return Int(byte - 48)
    }
}
