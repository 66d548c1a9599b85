import Foundation

/// What `sluice status` tells. The JSON names are relied on by scripts.
struct StatusReport: Codable, Equatable, Sendable {
    struct Pending: Codable, Equatable, Sendable {
        /// Files, links and directories with content that is not in the bucket.
        var files: Int
        var bytes: Int64
        /// Moves, deletions and changes of attributes that the bucket does not know yet.
        var operations: Int
    }

    struct Upload: Codable, Equatable, Sendable {
        var path: String
        var bytesDone: Int64
        var bytesTotal: Int64
    }

    struct Link: Codable, Equatable, Sendable {
        /// `online`, `offline` or `paused`.
        var state: String
        /// Why the store cannot be reached; null while it can.
        var reason: String?
    }

    struct Event: Codable, Equatable, Sendable {
        var path: String
        var message: String
        /// ISO 8601, UTC; null for what goes on now.
        var time: String?
    }

    struct Cache: Codable, Equatable, Sendable {
        var usedBytes: Int64
        var dirtyBytes: Int64
        var limitBytes: Int64
    }

    /// Writers for whom there is no room.
    struct Waiting: Codable, Equatable, Sendable {
        var writers: Int
        /// Of the one that has waited longest.
        var seconds: Double
        /// What keeps them waiting.
        var reason: String
    }

    /// Whether the kernel may move bytes of files by itself.
    struct Passthrough: Codable, Equatable, Sendable {
        /// `on` or `off`.
        var state: String
        /// Why it is off; null if it is on.
        var reason: String?
    }

    struct Rates: Codable, Equatable, Sendable {
        var uploadBytesPerSecond: Double
        var downloadBytesPerSecond: Double
    }

    var source: String
    var mountpoint: String
    var stateDirectory: String
    var pending: Pending
    var uploading: [Upload]
    var link: Link
    var conflicts: [Event]
    var errors: [Event]
    /// What this store cannot do, and what is unsafe about the connection.
    var warnings: [String] = []
    var cache: Cache
    var rates: Rates
    /// Absent while nobody waits.
    var waiting: Waiting?
    /// Absent from older daemons.
    var passthrough: Passthrough?
}

// MARK: For people

extension StatusReport {
    /// Events of a kind that are shown; the JSON has all.
    private static let shownEvents = 5

    var text: String {
        var lines = [
            "\(source) on \(mountpoint)",
            "  link      \(link.state)" + (link.reason.map { ": \($0)" } ?? ""),
            "  pending   \(pendingText)",
            "  cache     \(Units.text(bytes: cache.usedBytes)) used, \(Units.text(bytes: cache.dirtyBytes)) not in the"
                + " bucket, limit \(Units.text(bytes: cache.limitBytes))",
            "  rates     \(rate(rates.uploadBytesPerSecond)) up, \(rate(rates.downloadBytesPerSecond)) down",
        ]
        if let reason = passthrough?.reason { lines.append("  requests  all bytes go through the daemon: \(reason)") }
        if let waiting {
            lines.append(
                "  waiting   \(waiting.writers) writers for space, \(Int(waiting.seconds)) s: \(waiting.reason)")
        }
        lines += uploading.map { "  uploading \($0.path)  \($0.percent) % of \(Units.text(bytes: $0.bytesTotal))" }
        lines += warnings.map { "  warning   \($0)" }
        lines += events(conflicts, "conflict ") + events(errors, "error    ")
        return lines.map(PrintableText.line).joined(separator: "\n")
    }

    private var pendingText: String {
        guard pending.files + pending.operations > 0 else { return "nothing: all is in the bucket" }
        let changes = pending.operations == 0 ? "" : ", \(pending.operations) moves, deletions or attribute changes"
        return "\(pending.files) files, \(Units.text(bytes: pending.bytes))\(changes)"
    }

    private func rate(_ value: Double) -> String { Units.text(bytes: Int64(value)) + "/s" }

    private func events(_ events: [Event], _ label: String) -> [String] {
        let shown = events.suffix(Self.shownEvents).map { "  \(label) \($0.path): \($0.message)" }
        let rest = events.count - shown.count
        return rest > 0 ? shown + ["  \(label) … and \(rest) more (--json lists all)"] : shown
    }
}

extension StatusReport.Upload {
    fileprivate var percent: Int64 { bytesTotal == 0 ? 100 : bytesDone * 100 / bytesTotal }
}
