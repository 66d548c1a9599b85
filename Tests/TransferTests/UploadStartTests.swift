import Cache
import Glibc
import Logging
import ObjectStore
import Platform
import Synchronization
import TestKit
import Testing

import struct SystemPackage.Errno

@testable import Transfer

/// What programs do between the first look at a file and the request that sends it.
@Suite struct UploadStartTests {
    @Test func aTimeThatIsSetWhileAnUploadBeginsStays() async throws {
        let bucket = MemoryStore()
        let machine = try LocalMachine(store: bucket)
        try machine.put("file", "hello")
        let number = try #require(try machine.inode("file")?.number)
        let file = try machine.cache.acquire(number)
        defer { machine.cache.release(file) }
        let (journal, wanted) = (machine.journal, Timestamp(seconds: 1000))
        let reconciler = Reconciler(
            store: bucket, cache: machine.cache,
            settings: Reconciler.Settings(host: "robot", defaults: LocalMachine.defaults), time: machine.time,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            makeToken: {
                #expect(throws: Never.self) {
                    try file.setModified(wanted) {
                        try journal.write { transaction in
                            var row = try #require(try transaction.inode(number))
                            row.modified = wanted
                            try transaction.update(row)
                        }
                    }
                }
                return "token"
            },
            materialize: { _, _ in }, onChange: { _ in })
        let outcome = try await reconciler.reconcile(number, progress: UploadProgress { _ in })
        #expect(outcome == .done)
        #expect(try machine.inode("file")?.modified == wanted)
        #expect(bucket.info(ObjectKey("file"))?.metadata["mtime"]?.hasPrefix("1000") == true)
    }

    @Test func partsLeaveWhileTheFileIsSyncedAndAreCompletedAfterThat() async throws {
        let store = FaultyStore(MemoryStore(multipartLimits: .small))
        let machine = try LocalMachine(store: store)
        try machine.put("file", [UInt8](repeating: 1, count: 40))
        let sent = Mutex(false)
        machine.disk.duringNextSync {
            for _ in 0..<300_000 where store.calls(.uploadPart) < 5 { usleep(1000) }
            sent.withLock { $0 = store.calls(.uploadPart) == 5 && store.calls(.completeUpload) == 0 }
        }
        #expect(try await machine.reconcile("file") == .done)
        #expect(sent.withLock { $0 })
        #expect(try await store.head(ObjectKey("file")).size == 40)
    }

    @Test func partsOfWhatCannotBeSyncedAreNotCompleted() async throws {
        let store = FaultyStore(MemoryStore(multipartLimits: .small))
        let machine = try LocalMachine(store: store)
        try machine.put("file", [UInt8](repeating: 1, count: 40))
        machine.disk.duringNextSync { () throws(Errno) in throw .ioError }
        await #expect(throws: CacheError.self) { try await machine.reconcile("file") }
        #expect(store.calls(.completeUpload) == 0)
        #expect(try await store.headIfPresent(ObjectKey("file")) == nil)
    }
}
