import Foundation
import Testing

@testable import sluice

/// Configuration: sources, their order, and what is wrong with them.
@Suite struct SettingsTests {
    private func settings(
        file: String? = nil,
        environment: [String: String] = [:],
        options: [String] = [],
        flags: [(key: String, value: String)] = []
    ) throws(CommandFailure) -> Settings {
        try SettingsSources.settings(file: file, environment: environment, options: options, flags: flags)
    }

    private func withFile<Result>(_ text: String, _ body: (String) throws -> Result) throws -> Result {
        let path = FileManager.default.temporaryDirectory.path + "/sluice-\(UUID().uuidString).toml"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(path)
    }

    private func message(_ body: () throws -> some Any) throws -> String {
        do {
            _ = try body()
        } catch let failure as CommandFailure {
            #expect(failure.code == .usage)
            return failure.description
        }
        Issue.record("nothing was refused")
        return ""
    }

    @Test func laterSourcesWin() throws {
        try withFile(
            "upload_delay = \"10s\"\nmetadata_ttl = \"10s\"\nflush_interval = \"10s\"\ncache_limit = \"1GiB\"\n"
        ) { file in
            let settings = try settings(
                file: file,
                environment: ["SLUICE_METADATA_TTL": "20s", "SLUICE_FLUSH_INTERVAL": "20s", "HOME": "/"],
                options: ["flush_interval=30s,_netdev,x-systemd.automount,noauto"],
                flags: [("cache_limit", "2GiB")]
            )
            #expect(settings.uploadDelay == .seconds(10))
            #expect(settings.metadataTTL == .seconds(20))
            #expect(settings.flushInterval == .seconds(30))
            #expect(settings.cacheLimit == 2 << 30)
            #expect(settings.uploadConcurrency == Settings().uploadConcurrency)
        }
    }

    @Test func mistakesInAFileNameTheirLine() throws {
        try withFile("# robot 7\nupload_delay = \"1s\"\nuplaod_delay = \"1s\"\n") { file in
            let text = try message { try settings(file: file) }
            #expect(text.contains("line 3") && text.contains("uplaod_delay"))
        }
        try withFile("upload_delay = \"1\"\n") { file in
            let text = try message { try settings(file: file) }
            #expect(text.contains("line 1") && text.contains("upload_delay"))
        }
        try withFile("a = 1\nnonsense\n") { file in
            let text = try message { try settings(file: file) }
            #expect(text.contains("line 2"))
        }
    }

    @Test(arguments: [
        ("\n\n[[region]]\n", 3, "region"), ("region = \"a\"\na.b = 1\n", 2, "a"), ("\n[ more ]\nx = 1\n", 2, "more"),
        ("# x = 1\n  \"x y\" = 1\n", 2, "x y"), ("\r\nupload_delay = 1.5\r\n", 2, "upload_delay"),
    ])
    func whatIsNotFlatNamesItsLine(text: String, line: Int, key: String) throws {
        try withFile(text) { file in
            let text = try message { try settings(file: file) }
            #expect(text.hasPrefix("\(file), line \(line): \(key): "))
        }
    }

    @Test(arguments: ["[%", "[", "[[ ", "[]", " [\u{1}a]", "\u{FEFF}[[.", "[\u{301}a]", "[[[a]]]"])
    func aTableWithoutANameIsRefused(_ line: String) throws {
        try withFile("region = \"a\"\n\(line)\n") { file in
            let text = try message { try settings(file: file) }
            #expect(text.contains("line 2"))
        }
    }

    @Test func aFileThatIsNoTextIsRefused() throws {
        let path = FileManager.default.temporaryDirectory.path + "/sluice-\(UUID().uuidString).toml"
        try Data([0xff, 0xfe, 0]).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(try message { try settings(file: path) }.contains("is no text"))
        #expect(try message { try settings(file: "/") }.contains("Is a directory"))
    }

    @Test func aCacheTooSmallToWorkWithIsRefused() throws {
        #expect(try message { try settings(options: ["cache_limit=1B"]) }.contains("16 MiB or more"))
        #expect(try settings(options: ["cache_limit=16MiB"]).cacheLimit == 16 << 20)
    }

    @Test func aLaterFalseTakesAnEarlierTrueBack() throws {
        let path = ["SLUICE_PATH_STYLE": "true"]
        #expect(try settings(environment: path).addressing == .path)
        #expect(try settings(environment: path, options: ["path_style=false"]).addressing == nil)
        #expect(try settings(environment: path, options: ["virtual_host=false"]).addressing == .path)
        #expect(try settings(environment: path, options: ["virtual_host"]).addressing == .virtualHost)
    }

    @Test func mistakesElsewhereNameTheirPlace() throws {
        #expect(try message { try settings(environment: ["SLUICE_NONSENSE": "1"]) }.contains("SLUICE_NONSENSE"))
        #expect(try message { try settings(options: ["cache_limit=lots"]) }.contains("-o cache_limit=lots"))
        #expect(try message { try settings(options: ["nonsense"]) }.contains("nonsense"))
        #expect(try message { try settings(flags: [("umask", "999")]) }.contains("--umask"))
        #expect(try message { try settings(file: "/nonexistent/sluice.toml") }.contains("/nonexistent/sluice.toml"))
    }

    @Test func theAttributesThatAreWrittenAreOneOfThree() throws {
        #expect(try settings().metadata == .full)
        #expect(try settings(options: ["metadata=none"]).metadata == .none)
        #expect(try settings(environment: ["SLUICE_METADATA": "mtime"]).metadata == .mtime)
        try withFile("metadata = \"none\"\n") { file in
            let settings = try settings(file: file)
            #expect(settings.metadata == .none)
        }
        #expect(try message { try settings(options: ["metadata=some"]) }.contains("full, mtime and none"))
    }

    @Test func attributesComeFromOneOfThreeSources() throws {
        #expect(try settings().attributes == .auto)
        #expect(try settings(options: ["attributes=exact"]).attributes == .exact)
        #expect(try settings(options: ["attributes=listed"]).attributes == .listed)
        #expect(try message { try settings(options: ["attributes=some"]) }.contains("auto, exact and listed"))
    }

    @Test func writersOnAFullDiskWaitFiveMinutesUnlessToldOtherwise() throws {
        #expect(try settings().fullWait == .seconds(300))
        #expect(try settings(options: ["full_wait=0s"]).fullWait == .zero)
        #expect(try message { try settings(options: ["full_wait=2d"]) }.contains("full_wait"))
    }

    @Test func fstabSaysReadOnlyAndReadWrite() throws {
        #expect(try settings(options: ["ro"]).isReadOnly)
        #expect(try !settings(options: ["ro,rw"]).isReadOnly)
        #expect(try settings(options: ["uid=1000,gid=100,umask=027,allow_other"]).umask == 0o027)
    }
}
