import Cache
import Logging
import ObjectStore
import Platform
import TestKit
import Testing

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
}
