import Cache
import Foundation
import TestKit
import Testing

@Suite struct StateDirectoryTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test func itIsPrivateAndMadeWithItsParents() throws {
        let path = directory.path("a/b/state")
        let state = try StateDirectory(path: path)
        let mode = try FileManager.default.attributesOfItem(atPath: state.path)[.posixPermissions] as? Int
        #expect(mode == 0o700)
    }

    @Test func oneProcessUsesItAtATime() throws {
        let path = directory.path("state")
        let first = try StateDirectory(path: path)
        #expect { try StateDirectory(path: path) } throws: { "\($0)".contains("in use") }
        withExtendedLifetime(first) {}
    }

    @Test func itCanBeOpenedAgainAfterItWasLetGo() throws {
        let path = directory.path("state")
        do { _ = try StateDirectory(path: path) }
        _ = try StateDirectory(path: path)
    }

    @Test func aDirectoryOpenToOthersIsRefused() throws {
        let path = directory.path("state")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        #expect { try StateDirectory(path: path) } throws: { "\($0)".contains("chmod 700") }
    }

    @Test func aJournalOfANewerVersionIsRefused() throws {
        let path = directory.path("journal.db")
        try Journal(path: path).close()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/sqlite3")
        process.arguments = [path, "PRAGMA user_version = 99"]
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect { try Journal(path: path) } throws: { "\($0)".contains("newer sluice") }
    }
}
