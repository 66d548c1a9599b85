/// Reads durations and sizes that carry their unit.
enum Units {
    private static let durations: [String: Duration] = [
        "ms": .milliseconds(1), "s": .seconds(1), "m": .seconds(60), "h": .seconds(3600), "d": .seconds(86400),
    ]

    private static let sizes: [String: Int64] = [
        "B": 1,
        "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
        "kB": 1_000, "KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000, "TB": 1_000_000_000_000,
    ]

    /// `500ms`, `1.5s`, `2m`, `1h`; nil for anything else.
    static func duration(_ text: String) -> Duration? {
        guard let (number, unit) = split(text), let unit = durations[unit], number < 1e9 else { return nil }
        return unit * number
    }

    /// Bytes of `64KiB`, `10GB`, `4096B`; nil for anything else.
    static func size(_ text: String) -> Int64? {
        guard let (number, unit) = split(text), let unit = sizes[unit] else { return nil }
        return Int64(exactly: (number * Double(unit)).rounded())
    }

    /// For people: three digits and a binary unit.
    static func text(bytes: Int64) -> String {
        var value = Double(bytes)
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if value < 1000 { return text(value, unit) }
            value /= 1024
        }
        return text(value, "TiB")
    }

    private static func text(_ value: Double, _ unit: String) -> String {
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 || tenths >= 1000 ? "\(tenths / 10) \(unit)" : "\(tenths / 10).\(tenths % 10) \(unit)"
    }

    private static func split(_ text: String) -> (number: Double, unit: String)? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard !digits.isEmpty, let number = Double(digits) else { return nil }
        return (number, String(text.dropFirst(digits.count)))
    }
}
