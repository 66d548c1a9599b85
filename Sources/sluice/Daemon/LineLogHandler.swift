import CLinux
import Foundation
import Logging
import Synchronization

/// Writes log records to standard error, one line each: UTC time, level, event, facts as `name=value`.
///
/// Values are quoted where they need it and control characters escaped, so that no file name can forge a line.
struct LineLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level

    init(level: Logger.Level) {
        logLevel = level
    }

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let facts = metadata.merging(event.metadata ?? [:]) { $1 }
        let line = Self.line(Date(), event.level, "\(event.message)", facts)
        let bytes = Array(line.utf8)
        // One write for each line, so that lines of several threads do not mix.
        _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    static func line(_ time: Date, _ level: Logger.Level, _ message: String, _ facts: Logger.Metadata) -> String {
        let stamp = time.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        let fields = facts.sorted { $0.key < $1.key }.map { " \($0.key)=\(PrintableText.value("\($0.value)"))" }
        return "\(stamp) \(level.rawValue) \(PrintableText.line(message))\(fields.joined())\n"
    }
}
