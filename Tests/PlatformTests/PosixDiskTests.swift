import CLinux
import Foundation
import Platform
import SystemPackage
import TestKit
import Testing

/// What the disk of the state directory takes for its own.
@Suite struct PosixDiskTests {
    let directory: TemporaryDirectory
    let disk: PosixDisk

    init() throws {
        directory = try TemporaryDirectory()
        disk = try PosixDisk(path: directory.path)
    }

    @Test func aFileWithASecondNameIsNotEmptied() throws {
        try directory.write("kept", to: "other")
        try FileManager.default.linkItem(atPath: directory.path("other"), toPath: directory.path("file"))
        #expect(throws: Errno.structureNeedsCleaning) { try disk.open("file", .truncated) }
        #expect(throws: Errno.structureNeedsCleaning) { try disk.status(of: "file") }
        #expect(directory.read("other") == Array("kept".utf8))
    }

    @Test func noLinkIsFollowedAtTheEndNorOnTheWay() throws {
        try directory.write("kept", to: "real/file")
        symlink(directory.path("real"), directory.path("way"))
        symlink(directory.path("real/file"), directory.path("end"))
        for mode in [DiskOpenMode.existing, .createIfAbsent, .truncated] {
            #expect(throws: Errno.structureNeedsCleaning) { try disk.open("end", mode) }
            #expect(throws: Errno.notDirectory) { try disk.open("way/file", mode) }
        }
        #expect(throws: Errno.notDirectory) { try disk.names(in: "way") }
        #expect(throws: Errno.notDirectory) { try disk.rename("real/file", to: "way/moved") }
        #expect(directory.read("real/file") == Array("kept".utf8))
    }

    @Test func aPipeIsRefusedAtOnce() throws {
        mkfifo(directory.path("pipe"), 0o600)
        #expect(throws: Errno.structureNeedsCleaning) { try disk.open("pipe", .existing) }
    }

    @Test func newFilesAndDirectoriesAreForTheirUserAlone() throws {
        try disk.makeDirectory("private")
        let file = try disk.open("private/file", .truncated)
        try file.write(Array("text".utf8), at: 0)
        let modes = try ["private", "private/file"].map {
            try FileManager.default.attributesOfItem(atPath: directory.path($0))[.posixPermissions] as? Int
        }
        #expect(modes == [0o700, 0o600])
    }

    @Test func aDirectoryThatWasMovedAwayIsNotWrittenToUnderItsOldName() throws {
        try disk.makeDirectory("a")
        _ = try disk.open("a/first", .createIfAbsent)
        try disk.rename("a", to: "b")
        #expect(throws: Errno.noSuchFileOrDirectory) { try disk.open("a/second", .createIfAbsent) }
        try disk.makeDirectory("a")
        _ = try disk.open("a/second", .createIfAbsent)
        #expect(directory.exists("a/second") && !directory.exists("b/second"))
    }
}
