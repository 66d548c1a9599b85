import Foundation
import Logging
import Testing

@testable import sluice

/// File names and servers' answers are shown; they never forge a line or command a terminal.
@Suite struct PrintableTextTests {
    @Test(arguments: [
        ("plain text, \"quoted\" and C:\\", "plain text, \"quoted\" and C:\\"),
        ("Größe 日本 🎉", "Größe 日本 🎉"),
        ("a\nsluice: b", "a\\nsluice: b"),
        ("a\r\u{1b}[2J\u{7f}\u{9b}", "a\\u{d}\\u{1b}[2J\\u{7f}\\u{9b}"),
        ("a\u{2028}b\u{202e}c", "a\\u{2028}b\\u{202e}c"),
    ])
    func aLineStaysOne(text: String, shown: String) {
        #expect(PrintableText.line(text) == shown)
    }

    @Test(arguments: [
        ("a/b.bag", "a/b.bag"), ("", "\"\""), ("two words", "\"two words\""), ("a\"b\\c", "\"a\\\"b\\\\c\""),
        ("a\nb", "\"a\\nb\""), ("a\tb", "\"a\\u{9}b\""),
    ])
    func valuesAreQuotedWhereTheyNeedIt(text: String, shown: String) {
        #expect(PrintableText.value(text) == shown)
    }

    @Test func aLogRecordIsOneLineWithTheTimeInUTC() {
        let time = Date(timeIntervalSince1970: 1_700_000_000.25)
        let facts: Logger.Metadata = ["path": "a\n2023 error", "ino": "7"]
        let line = LineLogHandler.line(time, .warning, "upload failed", facts)
        #expect(line == "2023-11-14T22:13:20.250Z warning upload failed ino=7 path=\"a\\n2023 error\"\n")
    }

    @Test func statusShowsNamesOfFilesHarmlessly() {
        let report = StatusReport(
            source: "s3://b", mountpoint: "/mnt", stateDirectory: "/state",
            pending: .init(files: 1, bytes: 1, operations: 0),
            uploading: [.init(path: "a\n\u{1b}[31m", bytesDone: 1, bytesTotal: 2)], link: .init(state: "online"),
            conflicts: [], errors: [], cache: .init(usedBytes: 0, dirtyBytes: 0, limitBytes: 0),
            rates: .init(uploadBytesPerSecond: 0, downloadBytesPerSecond: 0))
        #expect(report.text.split(separator: "\n").last == "  uploading a\\n\\u{1b}[31m  50 % of 2 B")
    }
}
