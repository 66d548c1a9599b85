import Foundation
import ObjectStore
import TestKit
import Testing

@Suite struct DirectoryStoreTests {
    let directory: TemporaryDirectory
    let store: DirectoryStore

    init() throws {
        directory = try TemporaryDirectory()
        store = try DirectoryStore(path: directory.path)
    }

    @discardableResult
    private func put(
        _ key: String, _ text: String, metadata: [String: String] = [:], _ condition: WriteCondition = .none
    ) async throws -> ETag {
        try await store.put(
            ObjectKey(key), body: MemoryByteSource(text), metadata: metadata, condition: condition)
    }

    private func text(_ key: String, ifMatch: ETag? = nil) async throws -> String {
        let sink = MemoryByteSink()
        _ = try await store.get(ObjectKey(key), range: nil, ifMatch: ifMatch, into: sink)
        return sink.text
    }

    private func list(_ prefix: String = "", delimiter: String? = nil) async throws -> ListPage {
        try await store.list(prefix: prefix, delimiter: delimiter, continuation: nil, limit: 1000)
    }

    private func kind(_ request: () async throws -> Void) async -> StoreError.Kind? {
        do {
            try await request()
            return nil
        } catch {
            return (error as? StoreError)?.kind
        }
    }

    /// Names below the directory, without the store's own.
    private func plainNames() throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: directory.path).filter { !$0.hasPrefix(".sluice-store") }
            .sorted()
    }

    // MARK: The contract of every store

    @Test(arguments: StoreConformance.Behaviour.allCases)
    func conforms(behaviour: StoreConformance.Behaviour) async throws {
        try await StoreConformance(store, prefix: "").check(behaviour)
        try await StoreConformance(store, prefix: "be/low/").check(behaviour)
    }

    @Test(arguments: StoreConformance.Behaviour.allCases)
    func conformsWithSidecars(behaviour: StoreConformance.Behaviour) async throws {
        let store = try DirectoryStore(path: directory.path, records: .sidecars)
        try await StoreConformance(store, prefix: "").check(behaviour)
    }

    // MARK: The bucket stays plain

    @Test func objectsAreFilesWithTheSameNamesAndBytes() async throws {
        try await put("a/b/c.bag", "bytes", metadata: ["mode": "33188"])
        try await put("with space/é.txt", "more")
        try await put("dir/", "")
        #expect(directory.read("a/b/c.bag") == Array("bytes".utf8))
        #expect(directory.read("with space/é.txt") == Array("more".utf8))
        #expect(try plainNames() == ["a", "a/b", "a/b/c.bag", "dir", "with space", "with space/é.txt"])
    }

    @Test func theLastObjectOfADirectoryTakesItsDirectoriesWithIt() async throws {
        try await put("a/b/c/1", "x")
        try await put("a/2", "x")
        try await put("kept/", "")
        try await put("kept/sub/3", "x")
        for key in ["a/b/c/1", "kept/sub/3"] { try await store.delete(ObjectKey(key), ifMatch: nil) }
        #expect(try plainNames() == ["a", "a/2", "kept"])
        try await store.delete(ObjectKey("a/2"), ifMatch: nil)
        try await store.delete(ObjectKey("kept/"), ifMatch: nil)
        #expect(try plainNames().isEmpty)
    }

    @Test func aKeyMovesToItsPathWhenThePathIsFree() async throws {
        try await put("a", "file")
        try await put("a/x", "below")
        #expect(directory.read("a") == Array("file".utf8))
        try await store.delete(ObjectKey("a"), ifMatch: nil)
        #expect(try await text("a/x") == "below")
        try await put("a/x", "again")
        #expect(directory.read("a/x") == Array("again".utf8))
        #expect(try await list().objects.map(\.key.string) == ["a/x"])
        #expect(!directory.exists(".sluice-store/keys/a"))
    }

    @Test func openingLeavesNoTrace() async throws {
        let fresh = try TemporaryDirectory()
        let store = try DirectoryStore(path: fresh.path)
        _ = try await store.list(prefix: "", delimiter: "/", continuation: nil, limit: 10)
        #expect(await kind { _ = try await store.head(ObjectKey("x")) } == .notFound)
        #expect(try FileManager.default.contentsOfDirectory(atPath: fresh.path).isEmpty)
    }

    @Test func aDirectoryThatIsNotThereIsNoBucket() async throws {
        let path = directory.path("absent")
        #expect(await kind { _ = try DirectoryStore(path: path) } == .noSuchBucket)
        try directory.write("x", to: "file")
        let file = directory.path("file")
        #expect(await kind { _ = try DirectoryStore(path: file) } == .noSuchBucket)
    }

    // MARK: Other programs in the directory

    @Test func filesOfOtherProgramsAreObjects() async throws {
        try directory.write("by hand", to: "dir/file")
        let info = try await store.head(ObjectKey("dir/file"))
        #expect(info.size == 7 && info.metadata.isEmpty && info.etag.md5Hex == nil)
        #expect(try await text("dir/file", ifMatch: info.etag) == "by hand")
        #expect(try await list().objects.map(\.etag) == [info.etag])
        #expect(await kind { try await put("dir/file", "x", .ifAbsent) } == .preconditionFailed)
        try await put("dir/file", "by the store", .ifMatch(info.etag))
        #expect(directory.read("dir/file") == Array("by the store".utf8))
    }

    @Test func aFileChangedInPlaceIsAnotherVersionWithoutTheOldMetadata() async throws {
        let etag = try await put("file", "12345", metadata: ["mode": "33188"])
        let handle = try #require(FileHandle(forWritingAtPath: directory.path("file")))
        try handle.write(contentsOf: Data("54321".utf8))
        try handle.close()
        let info = try await store.head(ObjectKey("file"))
        #expect(info.etag != etag && info.metadata.isEmpty)
        #expect(try await text("file") == "54321")
        #expect(await kind { _ = try await text("file", ifMatch: etag) } == .preconditionFailed)
    }

    @Test func copiesOfAnotherProgramsFileHaveTheTagOfTheirContent() async throws {
        try directory.write("hello", to: "file")
        let etag = try await store.head(ObjectKey("file")).etag
        let copied = try await store.copy(
            from: ObjectKey("file"), sourceETag: etag, to: ObjectKey("copy"), metadata: nil, condition: .none)
        #expect(copied == ETag("5d41402abc4b2a76b9719d911017c592"))
    }

    @Test func anEmptyDirectoryIsVisibleAndItsMarkerCanBeDeleted() async throws {
        try FileManager.default.createDirectory(atPath: directory.path("empty"), withIntermediateDirectories: false)
        #expect(try await list(delimiter: "/").commonPrefixes == ["empty/"])
        #expect(try await list().objects.map(\.key.string) == ["empty/"])
        #expect(try await store.head(ObjectKey("empty/")).size == 0)
        try await store.delete(ObjectKey("empty/"), ifMatch: nil)
        #expect(!directory.exists("empty"))
    }

    @Test func linksPipesAndSocketsAreNoObjectsAndLeadNowhere() async throws {
        let outside = try TemporaryDirectory()
        try outside.write("secret", to: "secret")
        symlink(outside.path, directory.path("link"))
        symlink(outside.path("secret"), directory.path("file"))
        mkfifo(directory.path("pipe"), 0o600)
        for key in ["link/secret", "file", "pipe", "link/"] {
            #expect(await kind { _ = try await text(key) } == .notFound)
        }
        #expect(try await list().objects.isEmpty)
        for key in ["link/secret", "link/new", "file", "pipe"] { try await put(key, "inside") }
        for key in ["link/secret", "link/new", "file", "pipe"] { #expect(try await text(key) == "inside") }
        #expect(outside.read("secret") == Array("secret".utf8))
        #expect(!outside.exists("new"))
        #expect(try await list().objects.map(\.key.string) == ["file", "link/new", "link/secret", "pipe"])
        for key in ["link/secret", "link/new", "file", "pipe"] { try await store.delete(ObjectKey(key), ifMatch: nil) }
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: directory.path("file")).hasSuffix("secret"))
    }

    @Test func namesThatAreNotUTF8AreLeftOut() async throws {
        let name = Array(directory.path.utf8CString.dropLast()) + [0x2F, CChar(bitPattern: 0xFF), 0]
        let file = creat(name, 0o600)
        #expect(file >= 0)
        close(file)
        try await put("file", "x")
        #expect(try await list().objects.map(\.key.string) == ["file"])
    }

    @Test func pagesFollowWhatHappensBetweenThem() async throws {
        for number in 10..<30 { try await put("dir/\(number)", "x") }
        // Old enough for the store to go on where it paused.
        try await Task.sleep(for: .milliseconds(1100))
        var names: [String] = []
        var continuation: String?
        repeat {
            let page = try await store.list(
                prefix: "dir/", delimiter: nil, continuation: continuation, limit: 5)
            names += page.objects.map(\.key.string)
            continuation = page.continuation
            if names.count == 10 {
                try await put("dir/195", "late")
                try await store.delete(ObjectKey("dir/27"), ifMatch: nil)
            }
        } while continuation != nil
        let numbers = Array(10..<20) + [195] + Array(20..<30).filter { $0 != 27 }
        #expect(names == numbers.map { "dir/\($0)" })
    }

    // MARK: Atomic

    @Test func readersSeeOneVersionWhileWritersReplaceIt() async throws {
        let size = 3 << 20
        try await put("file", String(repeating: "0", count: size))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 1..<4 {
                group.addTask {
                    for _ in 0..<4 { try await put("file", String(repeating: "\(writer)", count: size)) }
                }
            }
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<8 {
                        let seen = try await text("file")
                        #expect(seen.utf8.count == size && Set(seen.utf8).count == 1)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// Every writer adds one to the number in the object, under the condition that nobody did meanwhile.
    @Test func conditionsHoldAmongSeveralUsersOfTheDirectory() async throws {
        try await put("counter", "0")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                let other = try DirectoryStore(path: directory.path)
                group.addTask {
                    var done = 0
                    while done < 10 {
                        let sink = MemoryByteSink()
                        let info = try await other.get(ObjectKey("counter"), range: nil, ifMatch: nil, into: sink)
                        let next = MemoryByteSource("\((Int(sink.text) ?? 0) + 1)")
                        do {
                            _ = try await other.put(
                                ObjectKey("counter"), body: next, metadata: [:], condition: .ifMatch(info.etag))
                            done += 1
                        } catch let error as StoreError where error.kind == .preconditionFailed {}
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await text("counter") == "40")
    }

    @Test func aWriteThatFailsLeavesTheObjectAndNoRest() async throws {
        struct DiskFailed: Error {}
        struct Broken: ByteSource {
            let count: Int64 = 4 << 20
            func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws {
                if offset > 0 { throw DiskFailed() }
            }
        }
        try await put("file", "old")
        let failure = await kind {
            _ = try await store.put(ObjectKey("file"), body: Broken(), metadata: [:], condition: .none)
        }
        #expect(failure == .localFault)
        #expect(try await text("file") == "old")
        let left = try FileManager.default.contentsOfDirectory(atPath: directory.path(".sluice-store/tmp"))
        #expect(left.isEmpty)
    }

    @Test func oldRestsOfACrashAreSweptAndYoungOnesAreNot() async throws {
        try await put("file", "x")
        try directory.write("rest", to: ".sluice-store/tmp/rest")
        let later = ManualTime(wall: .init(seconds: Int64(Date().timeIntervalSince1970) + 2 * 86_400))
        _ = try DirectoryStore(path: directory.path)
        #expect(directory.exists(".sluice-store/tmp/rest"))
        _ = try DirectoryStore(path: directory.path, time: later)
        #expect(!directory.exists(".sluice-store/tmp/rest"))
        #expect(try await text("file") == "x")
    }

    @Test func anUploadSurvivesTheProcessThatBeganIt() async throws {
        let key = ObjectKey("big")
        let upload = try await store.createMultipartUpload(key, metadata: ["a": "b"])
        let part = try await store.uploadPart(key, upload: upload, number: 1, body: MemoryByteSource("part"))
        let next = try DirectoryStore(path: directory.path)
        #expect(try await next.listParts(key, upload: upload).map(\.etag) == [part.etag])
        _ = try await next.completeMultipartUpload(key, upload: upload, parts: [part], condition: .ifAbsent)
        #expect(try await text("big") == "part")
        #expect(!directory.exists(".sluice-store/uploads/\(upload)"))
    }

    @Test func anUploadIDCannotLeadElsewhere() async throws {
        try directory.write("x", to: "upload")
        for id in ["../..", "", ".", String(repeating: "g", count: 32)] {
            let failure = await kind { _ = try await store.listParts(ObjectKey("k"), upload: UploadID(id)) }
            #expect(failure == .noSuchUpload)
            try await store.abortMultipartUpload(ObjectKey("k"), upload: UploadID(id))
        }
        #expect(directory.exists("upload"))
    }

    // MARK: Refusals

    @Test func whatS3RefusesIsRefusedHere() async throws {
        let large = ["m": String(repeating: "v", count: 2048)]
        #expect(await kind { try await put("file", "x", metadata: large) } == .refused)
        #expect(await kind { try await put("nul\0key", "x") } == .invalidKey)
        #expect(
            await kind { _ = try await store.list(prefix: "", delimiter: nil, continuation: "x", limit: 1) } == .refused
        )
        let small = MultipartLimits(minimumPartSize: 1, maximumPartSize: 3, maximumPartCount: 2)
        let smallStore = try DirectoryStore(path: directory.path, multipartLimits: small)
        let failure = await kind {
            _ = try await smallStore.put(
                ObjectKey("x"), body: MemoryByteSource("four"), metadata: [:], condition: .none)
        }
        #expect(failure == .tooLarge)
    }

    @Test func aCancelledRequestHasNoEffect() async throws {
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await put("file", "x")
        }
        let failure = await kind { _ = try await task.value }
        #expect(failure == .cancelled)
        #expect(try await list().objects.isEmpty)
    }
}
