import Platform

/// A moment in the calendar of UTC: what Sluice writes into names and reads from foreign metadata.
struct CalendarTime: Equatable, Sendable {
    var year: Int64
    var month: Int64
    var day: Int64
    /// Seconds since midnight.
    var second: Int64

    init(_ time: Timestamp) {
        let days = (time.seconds - Self.modulo(time.seconds, 86_400)) / 86_400
        second = Self.modulo(time.seconds, 86_400)
        // Days are counted from 1 March of year 0, so that leap days end years (proleptic Gregorian calendar).
        let shifted = days + 719_468
        let era = (shifted - Self.modulo(shifted, 146_097)) / 146_097
        let dayOfEra = Self.modulo(shifted, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// `20261124T093000Z`.
    var compact: String {
        Self.digits(year, 4) + Self.digits(month, 2) + Self.digits(day, 2) + "T" + Self.digits(second / 3600, 2)
            + Self.digits(second / 60 % 60, 2) + Self.digits(second % 60, 2) + "Z"
    }

    private static func digits(_ value: Int64, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }

    private static func modulo(_ value: Int64, _ divisor: Int64) -> Int64 {
        let rest = value % divisor
        return rest < 0 ? rest + divisor : rest
    }

    /// Seconds since 1970 of midnight of a day.
    private static func seconds(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear - modulo(shiftedYear, 400)) / 400
        let yearOfEra = modulo(shiftedYear, 400)
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return (era * 146_097 + dayOfEra - 719_468) * 86_400
    }

    /// The moment that an RFC 3339 text such as `2006-01-02T15:04:05.999999999+07:00` names; nil for any other text.
    static func timestamp(rfc3339 text: String) -> Timestamp? {
        var scanner = Scanner(rest: text.utf8[...])
        guard let year = scanner.number(digits: 4), scanner.skip("-"),
            let month = scanner.number(digits: 2), scanner.skip("-"), let day = scanner.number(digits: 2),
            scanner.skip("T") || scanner.skip("t") || scanner.skip(" "),
            let hour = scanner.number(digits: 2), scanner.skip(":"),
            let minute = scanner.number(digits: 2), scanner.skip(":"), let second = scanner.number(digits: 2),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second <= 60
        else { return nil }
        let nanoseconds = scanner.skip(".") ? scanner.fraction() : 0
        guard let nanoseconds, let offset = scanner.zone(), scanner.rest.isEmpty else { return nil }
        let midnight = seconds(year: year, month: month, day: day)
        return Timestamp(seconds: midnight + hour * 3600 + minute * 60 + second - offset, nanoseconds: nanoseconds)
    }
}

extension CalendarTime {
    /// Reads digits and signs from the front of a text.
    private struct Scanner {
        var rest: Substring.UTF8View

        mutating func skip(_ character: Unicode.Scalar) -> Bool {
            guard let first = rest.first, UInt32(first) == character.value else { return false }
            rest.removeFirst()
            return true
        }

        mutating func number(digits count: Int) -> Int64? {
            let digits = rest.prefix(count)
            guard digits.count == count, digits.allSatisfy({ (48...57).contains($0) }) else { return nil }
            rest.removeFirst(count)
            return digits.reduce(0) { $0 * 10 + Int64($1 - 48) }
        }

        /// Digits of a fraction of a second, in nanoseconds; what is finer is dropped.
        mutating func fraction() -> Int64? {
            let digits = rest.prefix { (48...57).contains($0) }
            guard !digits.isEmpty else { return nil }
            rest.removeFirst(digits.count)
            let nine = digits.prefix(9)
            return (nine + Array(repeating: 48, count: 9 - nine.count)).reduce(0) { $0 * 10 + Int64($1 - 48) }
        }

        /// Offset from UTC in seconds.
        mutating func zone() -> Int64? {
            if skip("Z") || skip("z") { return 0 }
            let isWest = skip("-")
            guard isWest || skip("+"), let hours = number(digits: 2), skip(":"), let minutes = number(digits: 2),
                hours < 24, minutes < 60
            else { return nil }
            return (hours * 3600 + minutes * 60) * (isWest ? -1 : 1)
        }
    }
}
