import Foundation
import ObjectStore

@testable import sluice

/// Configuration, and what commands and the daemon say to each other.
enum SettingsTargets {
    static let all = [files, options, units, requests, answers, sources, printed]

    private static let keys = [
        "upload_delay", "idle_upload", "metadata_ttl", "flush_interval", "cache_limit", "cache_reserve",
        "upload_concurrency", "network_timeout", "metadata", "umask", "uid", "read_only", "path_style", "virtual_host",
        "region", "state_dir",
    ]
    private static let values = ["\"1s\"", "1e3", "50GiB", "0x1", "true", "full", "777", "{}", "[]", "'''", "\"\"\""]

    private static func usage(_ body: () throws -> Void) throws {
        do { try body() } catch let failure as CommandFailure {
            try require(failure.code == .usage, "another failure: \(failure)")
        }
    }

    private static let files = FuzzTarget(
        name: "toml", words: keys + values + ["=", "\n", "#", "[a]", "[[a]]", "a.b = 1", "\\u0000", "1979-05-27"],
        count: 600
    ) { input in
        guard let scratch = FuzzTarget.scratch else { return }
        let path = scratch.path("settings.toml")
        try scratch.write(input, to: "settings.toml")
        try usage {
            let settings = try SettingsSources.settings(file: path, environment: [:], options: [], flags: [])
            try check(settings)
        }
    }

    private static func check(_ settings: Settings) throws {
        for duration in [settings.uploadDelay, settings.metadataTTL, settings.flushInterval, settings.networkTimeout] {
            try require(duration >= .zero && duration <= .seconds(86_400), "a duration of \(duration)")
        }
        try require((settings.cacheLimit ?? 1) > 0 && (settings.cacheReserve ?? 0) >= 0, "a negative size")
        try require((1...64).contains(settings.uploadConcurrency), "\(settings.uploadConcurrency) uploads")
        try require((settings.umask ?? 0) <= 0o777, "an umask of \(settings.umask ?? 0)")
    }

    private static let options = FuzzTarget(name: "options", words: keys.map { $0 + "=" } + values + [",", "="]) {
        input in
        try usage {
            let text = String(decoding: input, as: UTF8.self)
            try check(try SettingsSources.settings(file: nil, environment: [:], options: [text], flags: []))
        }
    }

    private static let units = FuzzTarget(
        name: "units", words: ["ms", "s", "m", "h", "d", "B", "KiB", "MiB", "GiB", "TiB", "kB", "GB", ".", "e", "٣"]
    ) { input in
        let text = String(decoding: input, as: UTF8.self)
        if let duration = Units.duration(text) { try require(duration >= .zero, "\(duration)") }
        if let size = Units.size(text) {
            try require(size >= 0, "\(size)")
            try require(Units.text(bytes: size).utf8.count < 40, Units.text(bytes: size))
        }
    }

    private static let json = [
        "\"action\"", "\"status\"", "\"drain\"", "\"path\"", "\"timeout\"", "null", "1e400", "-0", "{", "[[[[[[[[", ",",
        ":", "\\u0000", "\\ud800", "\"progress\"", "\"files\"", "\"remainder\"", "\"error\"",
    ]

    private static let requests = FuzzTarget(name: "control-request", words: json) { input in
        guard let request = try? ControlCoding.message(ControlRequest.self, from: input) else { return }
        try require(request.timeout.map(\.isFinite) ?? true, "a timeout of \(request.timeout ?? 0)")
        let again = try ControlCoding.message(ControlRequest.self, from: try ControlCoding.line(request))
        try require(again == request, "\(request) becomes \(again)")
    }

    private static let answers = FuzzTarget(name: "control-answer", words: json) { input in
        guard let answer = try? ControlCoding.message(ControlAnswer.self, from: input) else { return }
        _ = try ControlCoding.line(answer)
        if let status = answer.status {
            try require(!status.text.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" }, "a control character")
        }
    }

    private static let sources = FuzzTarget(
        name: "sources", words: ["s3://", "file:///", "/../", "/./", "//", "@", "?", "#"]
    ) { input in
        try usage {
            let source = try SourceURL(String(decoding: input, as: UTF8.self))
            let prefix = source.keyPrefix
            try require(prefix.isEmpty || prefix.hasSuffix("/") && !prefix.hasPrefix("/"), "a prefix \(prefix)")
            try require(!prefix.split(separator: "/").contains(".."), "a prefix \(prefix)")
            try require(try SourceURL(source.description) == source, "\(source) becomes another")
        }
    }

    private static let printed = FuzzTarget(name: "printed", words: ["\u{1b}[2J", "\u{85}", "\u{2028}", "\u{7f}"]) {
        input in
        let text = String(decoding: input, as: UTF8.self)
        for line in [PrintableText.line(text), PrintableText.value(text)] {
            let isPlain = line.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7f...0x9f).contains($0.value) }
            try require(isPlain, "a control character in \(line)")
        }
    }
}
