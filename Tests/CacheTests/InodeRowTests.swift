import Cache
import Platform
import Testing

/// Rows kept in memory say what the database says.
@Suite struct InodeRowTests {
    private struct Refused: Error {}

    let fixture: CacheFixture

    init() throws { fixture = try CacheFixture() }

    @Test func aChangeIsSeenWhenItsTransactionHasCommittedAndNotBefore() throws {
        let number = try fixture.makeFile("a")
        try fixture.journal.write { transaction in
            try setSize(7, of: number, transaction)
            #expect(try transaction.inode(number)?.size == 7)
            #expect(try fixture.journal.inode(number)?.size == 0)
        }
        #expect(try fixture.journal.inode(number)?.size == 7)
    }

    @Test func whatATransactionThatFailedWroteIsNeverSeen() throws {
        let number = try fixture.makeFile("a")
        var new: InodeNumber?
        #expect(throws: Refused.self) {
            try fixture.journal.write { transaction in
                try setSize(7, of: number, transaction)
                new = try insert(transaction)
                throw Refused()
            }
        }
        #expect(try fixture.journal.inode(number)?.size == 0)
        #expect(try fixture.journal.inode(try #require(new)) == nil)
    }

    @Test func changesOfManyRowsByOneStatementAreSeen() throws {
        let number = try fixture.makeRemoteFile("a", size: 4)
        let alias = try fixture.makeFile("b")
        #expect(try fixture.journal.inode(number)?.pending == [])
        try fixture.journal.write { transaction in
            try setSize(5, of: number, transaction)
            #expect(try Set(transaction.markMoved(.root)) == [number])
            #expect(try transaction.inode(number)?.pending == .location)
        }
        #expect(try fixture.journal.inode(number)?.pending == .location)
        #expect(try fixture.journal.inode(number)?.size == 5)
        #expect(try fixture.journal.inode(alias)?.pending == .content)
    }

    @Test func aDeletedRowIsGoneAndAnUpdateDoesNotBringItBack() throws {
        let number = try fixture.makeFile("a")
        let row = try #require(try fixture.journal.inode(number))
        try fixture.journal.write { transaction in
            try transaction.deleteInode(number)
            #expect(try transaction.inode(number) == nil)
            try transaction.update(row)
            try transaction.updateSizeAndTimes(of: row)
        }
        #expect(try fixture.journal.inode(number) == nil)
    }

    @Test func moreRowsThanAreKeptAreAllRight() throws {
        _ = try fixture.makeFile("a")
        let numbers = try fixture.journal.write { transaction in
            try (0..<20_000).map { _ in try insert(transaction) }
        }
        for number in numbers { #expect(try fixture.journal.inode(number)?.size == Int64(number.rawValue)) }
    }

    private func insert(_ transaction: JournalTransaction) throws -> InodeNumber {
        try transaction.insertInode { number in
            var inode = Inode(
                number: number, kind: .file, permissions: 0o600, userID: 0, groupID: 0, time: fixture.time.wall)
            inode.size = Int64(number.rawValue)
            return inode
        }.number
    }

    private func setSize(_ size: Int64, of number: InodeNumber, _ transaction: JournalTransaction) throws {
        guard var inode = try transaction.inode(number) else { throw Refused() }
        inode.size = size
        try transaction.update(inode)
    }
}
