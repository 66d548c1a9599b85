import Testing

@testable import Fuse

/// What the layer computes without a kernel.
@Suite struct PureTests {
    @Test func mountinfoLinesAreRead() {
        let table = MountTable(
            parsing: """
                36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
                40 36 0:50 / /data/my\\040robot\\134x rw,nosuid - fuse.sluice s3://bucket/a\\040b rw
                nonsense
                41 36 0:51 / / rw - ext4 /dev/vda rw
                42 36 0:52 / /mnt2 rw shared:1 master:2 - tmpfs none rw
                """
        )
        #expect(table.mounts.count == 4)
        #expect(table.mount(at: "/data/my robot\\x")?.source == "s3://bucket/a b")
        #expect(table.mount(at: "/mnt2")?.type == "tmpfs")
        #expect(table.mount(at: "/mnt") == nil)
        #expect(table.mount(containing: "/data/my robot\\x/a/b")?.device == "0:50")
        #expect(table.mount(containing: "/data/my robot")?.type == "ext4")
        #expect(table.mount(containing: "/mnt2x")?.type == "ext4")
    }

    @Test func oneThreadAlwaysWaitsUntilTheBound() {
        var count = WorkerCount()
        count.started()
        for _ in 1..<WorkerCount.maximum {
            let another = count.taken()
            #expect(another)
            count.started()
            #expect(count.idle == 1)
        }
        let another = count.taken()
        #expect(!another)
        #expect(count.idle == 0 && count.running == WorkerCount.maximum)
    }

    @Test func threadsBeyondTheIdleOnesEndWhenTheyAreNotNeededForLong() {
        var count = WorkerCount()
        count.started()
        for _ in 1..<5 where count.taken() { count.started() }
        #expect(count.running == 5 && count.idle == 1)
        let stays = (0..<4).map { _ in count.finished() }
        #expect(stays == [true, true, true, true])
        func perform(_ requests: Int) {
            for _ in 0..<requests {
                let isAnotherNeeded = count.taken()
                #expect(!isAnotherNeeded)
                _ = count.finished()
            }
        }
        perform(WorkerCount.patience / 2)
        #expect(count.running == 5 && count.idle == 5)
        perform(WorkerCount.patience)
        #expect(count.running == 4 && count.idle == 4)
        perform(3 * WorkerCount.patience)
        #expect(count.running == WorkerCount.maximumIdle && count.idle == WorkerCount.maximumIdle)
    }

    @Test func aThreadThatIsNeededNowAndThenStays() {
        var count = WorkerCount()
        for _ in 0..<3 { count.started() }
        for _ in 0..<10 * WorkerCount.patience {
            // Three requests at once.
            let needs = (0..<3).map { _ in count.taken() }
            #expect(needs == [false, false, true])
            let stays = (0..<3).map { _ in count.finished() }
            #expect(stays == [true, true, true])
        }
    }

    @Test func theInitAnswerIsAmendedOnlyWhereTheKernelOffers() {
        var answer = [UInt8](repeating: 0, count: 80)
        #expect(InitExchange.amended(answer, offered: 0) == answer)
        #expect(InitExchange.amended(answer, offered: 1 << 28)[31] == 0x10)
        answer[4] = 0xFB
        #expect(InitExchange.amended(answer, offered: 1 << 28) == answer)
        #expect(InitExchange.amended([1, 2], offered: 1 << 28) == [1, 2])
    }

    @Test func passthroughIsAgreedOnWhereItIsWantedAndOffered() {
        let answer = [UInt8](repeating: 0, count: 80)
        let offered: UInt64 = 1 << 30 | 1 << 37
        let amended = InitExchange.amended(answer, offered: offered, wantsPassthrough: true)
        // flags, flags2 and max_stack_depth of fuse_init_out.
        #expect(amended[31] == 1 << 6 && amended[48] == 1 << 5 && amended[52] == 1)
        #expect(amended.count { $0 != 0 } == 3)
        #expect(InitExchange.amended(answer, offered: offered) == answer)
        #expect(InitExchange.amended(answer, offered: 1 << 37, wantsPassthrough: true) == answer)
        // A kernel that is too old to be told more.
        let short = [UInt8](repeating: 0, count: 40)
        #expect(InitExchange.amended(short, offered: offered, wantsPassthrough: true) == short)
    }

    @Test func optionsAreEscaped() {
        let options = MountOptions(source: "s3://b/a,b\\c", allowOther: true, readOnly: true)
        #expect(options.arguments.first == "fsname=s3://b/a\\,b\\\\c")
        #expect(options.arguments.contains("allow_other") && options.arguments.contains("ro"))
    }
}
