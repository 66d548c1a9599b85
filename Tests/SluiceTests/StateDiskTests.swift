import Foundation
import Testing

@testable import sluice

@Suite struct StateDiskTests {
    @Test func aDirectoryThatDoesNotExistYetIsOnTheDiskOfItsNearestParent() throws {
        let parent = FileManager.default.temporaryDirectory.path
        let disk = try StateDisk(path: parent + "/no-such-directory/state")
        #expect(disk.existing == parent)
        #expect(disk.total > 0 && disk.available <= disk.total)
    }

    @Test func whatIsOnNoDiskIsRefused() {
        #expect {
            try StateDisk(path: "/proc/sluice/state")
        } throws: { error in
            let failure = error as? CommandFailure
            return failure?.code == .failed && failure?.description.contains("/proc/sluice/state") == true
        }
    }

    @Test func theReserveIsTwoGibibytesOrATenth() throws {
        let disk = try StateDisk(path: "/")
        #expect(try disk.reserve(nil) == min(2 << 30, disk.total / 10))
        #expect(try disk.reserve(0) == 0)
    }

    @Test func aReserveThatLeavesNothingIsRefused() throws {
        let disk = try StateDisk(path: "/")
        #expect {
            try disk.reserve(disk.total)
        } throws: { error in
            let failure = error as? CommandFailure
            return failure?.code == .usage && failure?.description.contains("cache_reserve") == true
        }
    }
}
