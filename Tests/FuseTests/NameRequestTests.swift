import CLinux
import Cache
import FileSystem
import Fuse
import Glibc
import SystemPackage
import Testing

/// Names, attributes, directories and extended attributes through a real mount.
@Suite(.serialized) struct NameRequestTests {
    @Test func aTreeIsMadeListedAndTakenAway() throws {
        try withMount { mount in
            try check(mkdir(mount("d"), 0o755))
            try writeFile(mount("d/f"), [1, 2, 3])
            try check(symlink("f", mount("d/l")))
            #expect(try list(mount("d")).sorted() == [".", "..", "f", "l"])
            #expect(try status(mount("d/l")).st_mode & S_IFMT == S_IFLNK)
            #expect(try readFile(mount("d/l")) == [1, 2, 3])
            #expect(throws: Errno.directoryNotEmpty) { try check(rmdir(mount("d"))) }
            try check(unlink(mount("d/f")))
            try check(unlink(mount("d/l")))
            try check(rmdir(mount("d")))
            #expect(try list(mount.path).sorted() == [".", ".."])
        }
    }

    @Test func aLargeDirectoryIsListedWholeWithAttributes() throws {
        try withMount { mount in
            try check(mkdir(mount("d"), 0o755))
            let names = (0..<3000).map { "file-\($0)-with-a-name-that-takes-some-room" }
            for name in names { close(try check(creat(mount("d/" + name), 0o600))) }
            #expect(try Set(list(mount("d"))) == Set(names + [".", ".."]))
            for name in names.prefix(50) { #expect(try status(mount("d/" + name)).st_size == 0) }
            #expect(mount.fileSystem.calls.contains("readdirplus"))
        }
    }

    @Test func entriesWithoutAttributesAreLookedUpWhenUsed() throws {
        try withMount { mount in
            try writeFile(mount("unknown-1"), [1, 2])
            try writeFile(mount("known"), [1])
            #expect(try list(mount.path).sorted() == [".", "..", "known", "unknown-1"])
            #expect(try status(mount("unknown-1")).st_size == 2)
        }
    }

    @Test func renameHandsItsFlagsOn() throws {
        try withMount { mount in
            try writeFile(mount("a"), [1])
            try writeFile(mount("b"), [2])
            #expect(throws: Errno.fileExists) {
                try check(sluice_rename(mount("a"), mount("b"), 1))
            }
            try check(sluice_rename(mount("a"), mount("b"), 2))
            #expect(try readFile(mount("a")) == [2])
            try check(rename(mount("a"), mount("b")))
            #expect(try readFile(mount("b")) == [2])
            #expect(try list(mount.path).sorted() == [".", "..", "b"])
        }
    }

    @Test func attributesAreSetAndShown() throws {
        try withMount { mount in
            try writeFile(mount("file"), [1])
            try check(chmod(mount("file"), 0o4751))
            try check(chown(mount("file"), 123, 456))
            let times = [timespec(tv_sec: 1_000, tv_nsec: 5), timespec(tv_sec: -7, tv_nsec: 123_456_789)]
            try check(utimensat(AT_FDCWD, mount("file"), times, 0))
            let shown = try status(mount("file"))
            #expect(shown.st_mode == S_IFREG | 0o4751)
            #expect(shown.st_uid == 123 && shown.st_gid == 456)
            #expect(shown.st_atim.tv_sec == 1_000 && shown.st_atim.tv_nsec == 5)
            #expect(shown.st_mtim.tv_sec == -7 && shown.st_mtim.tv_nsec == 123_456_789)
        }
    }

    @Test func statfsShowsTheBudget() throws {
        try withMount { mount in
            var shown = statvfs()
            try check(statvfs(mount.path, &shown))
            #expect(shown.f_bsize == 4096 && shown.f_blocks == 1000 && shown.f_bfree == 600)
            #expect(shown.f_bavail == 500 && shown.f_files == 77 && shown.f_ffree == 33 && shown.f_namemax == 255)
        }
    }

    @Test func extendedAttributesAreKept() throws {
        try withMount { mount in
            try writeFile(mount("file"), [])
            let path = mount("file")
            try check(setxattr(path, "user.a", "value", 5, 0))
            try check(setxattr(path, "user.b", "", 0, Int32(XATTR_CREATE)))
            #expect(throws: Errno.fileExists) { try check(setxattr(path, "user.a", "v", 1, Int32(XATTR_CREATE))) }
            #expect(throws: Errno.noData) { try check(setxattr(path, "user.c", "v", 1, Int32(XATTR_REPLACE))) }
            var buffer = [UInt8](repeating: 0, count: 64)
            #expect(getxattr(path, "user.a", nil, 0) == 5)
            #expect(getxattr(path, "user.a", &buffer, 64) == 5 && buffer.prefix(5).elementsEqual("value".utf8))
            #expect(throws: Errno.outOfRange) { try check(getxattr(path, "user.a", &buffer, 2)) }
            var names = [CChar](repeating: 0, count: 64)
            let size = try check(listxattr(path, &names, names.count))
            #expect(names.prefix(size).map { UInt8(bitPattern: $0) } == Array("user.a\0user.b\0".utf8))
            try check(removexattr(path, "user.a"))
            #expect(throws: Errno.noData) { try check(getxattr(path, "user.a", &buffer, 64)) }
        }
    }

    @Test func hardLinksPipesSocketsAndDevicesReachTheFileSystem() throws {
        try withMount { mount in
            try writeFile(mount("file"), [1])
            try check(link(mount("file"), mount("other")))
            #expect(try status(mount("other")).st_ino == status(mount("file")).st_ino)
            #expect(try status(mount("file")).st_nlink == 2)
            try check(mkfifo(mount("pipe"), 0o600))
            #expect(try status(mount("pipe")).st_mode & 0o170000 == 0o010000)
            try check(mknod(mount("socket"), 0o140600, 0))
            #expect(try status(mount("socket")).st_mode & 0o170000 == 0o140000)
            try check(mknod(mount("null"), 0o020600, 0x103))
            #expect(try status(mount("null")).st_rdev == 0x103)
            // The mount is nodev.
            #expect(open(mount("null"), O_RDONLY) == -1 && errno == EACCES)
        }
    }

    @Test func namesNeedNotBeUTF8AndMayHave255Bytes() throws {
        try withMount { mount in
            #expect(throws: Errno.fileNameTooLong) { try writeFile(mount(String(repeating: "n", count: 256)), []) }
            let path = Array((mount.path + "/").utf8CString.dropLast()) + [CChar](repeating: -1, count: 255) + [0]
            let descriptor = open(path, O_WRONLY | O_CREAT, 0o600)
            #expect(descriptor >= 0)
            close(descriptor)
            #expect(access(path, F_OK) == 0)
            #expect(try list(mount("")).contains(String(repeating: "\u{FFFD}", count: 255)))
            try writeFile(mount(String(repeating: "n", count: 255)), [])
            try writeFile(mount("n\u{e4}chste Aufnahme \u{1F916}"), [])
        }
    }

    @Test func aNameThatIsAbsentIsRememberedAsLongAsTheFileSystemSays() throws {
        let fileSystem = MemoryFileSystem(negativeTimeToLive: .seconds(60))
        try withMount(fileSystem) { mount in
            #expect(throws: Errno.noSuchFileOrDirectory) { try status(mount("late")) }
            let entry = try fileSystem.makeNode(
                FileName("late")!,
                in: .root,
                kind: .file,
                device: 0,
                permissions: 0o644,
                caller: Caller(userID: 0, groupID: 0, processID: 1, umask: 0)
            )
            fileSystem.forget(entry.attributes.inode, count: 1)
            #expect(throws: Errno.noSuchFileOrDirectory) { try status(mount("late")) }
            mount.kernelCache.invalidate(FileName("late")!, in: .root)
            #expect(eventually { (try? status(mount("late"))) != nil })
        }
    }

    @Test func aMountForReadingRefusesWrites() throws {
        try withMount(options: MountOptions(source: "test", readOnly: true)) { mount in
            #expect(throws: Errno.readOnlyFileSystem) { try writeFile(mount("file"), []) }
        }
    }

    @Test func theMountTableShowsSourceAndType() throws {
        try withMount { mount in
            let shown = try #require(MountTable.current().mount(at: mount.path))
            #expect(shown.type == "fuse.sluice")
            #expect(shown.source == "test:a,b\\c")
        }
    }

    /// Every reference that the kernel was given comes back when it drops the name.
    @Test func lookupsAndForgetsBalance() throws {
        try withMount { mount in
            try check(mkdir(mount("d"), 0o755))
            for index in 0..<200 { try writeFile(mount("d/\(index)"), [1]) }
            _ = try list(mount("d"))
            for index in 0..<200 { _ = try status(mount("d/\(index)")) }
            #expect(mount.fileSystem.references.count == 201)
            let directory = InodeNumber(rawValue: UInt64(try status(mount("d")).st_ino))
            for index in 0..<200 { mount.kernelCache.invalidate(FileName("\(index)")!, in: directory) }
            #expect(eventually { mount.fileSystem.references.count == 1 })
            mount.kernelCache.invalidate(FileName("d")!, in: .root)
            #expect(eventually { mount.fileSystem.references.isEmpty })
        }
    }

    @Test func invalidatedPagesAreReadAgain() throws {
        try withMount { mount in
            try writeFile(mount("file"), Array("old".utf8))
            #expect(try readFile(mount("file")) == Array("old".utf8))
            let inode = InodeNumber(rawValue: UInt64(try status(mount("file")).st_ino))
            let descriptor = mount.fileSystem.state.withLock { $0.inodes[inode]?.backing?.descriptor ?? -1 }
            #expect(pwrite(descriptor, "new", 3, 0) == 3)
            #expect(try readFile(mount("file")) == Array("old".utf8))
            mount.kernelCache.invalidate(inode)
            #expect(eventually { (try? readFile(mount("file"))) == Array("new".utf8) })
        }
    }
}
