import Fuse
import Glibc
import Logging
import Synchronization
import SystemPackage
import Testing

@testable import class WorldKit.MountedSession

/// How sessions wait, are interrupted, and end.
@Suite(.serialized) struct SessionTests {
    @Test func anAnswerMayComeLater() throws {
        try withMount { mount in
            try writeFile(mount("file"), [1, 2, 3])
            mount.fileSystem.hold("absent")
            let shared = SharedResult()
            let thread = startThread { shared.set(access(mount("absent"), F_OK) == 0 ? 0 : errno) }
            #expect(eventually { mount.fileSystem.waitingCount == 1 })
            // Others are served meanwhile.
            #expect(try readFile(mount("file")) == [1, 2, 3])
            #expect(shared.value == nil)
            mount.fileSystem.letGo()
            pthread_join(thread, nil)
            #expect(shared.value == ENOENT)
        }
    }

    @Test func manyWaitingAnswersLeaveRequestThreadsFree() throws {
        try withMount { mount in
            try writeFile(mount("file"), [1, 2, 3])
            let threads = (0..<50).map { index in
                mount.fileSystem.hold("absent-\(index)")
                return startThread { _ = access(mount("absent-\(index)"), F_OK) }
            }
            // Lookups in one directory run at the same time (PARALLEL_DIROPS).
            _ = eventually { mount.fileSystem.waitingCount == 50 }
            #expect(mount.fileSystem.waitingCount == 50)
            #expect(try readFile(mount("file")) == [1, 2, 3])
            mount.fileSystem.letGo()
            for thread in threads { pthread_join(thread, nil) }
        }
    }

    @Test func aReadThatWaitsIsAnswered() throws {
        try withMount { mount in
            let bytes = pattern(300_000, seed: 5)
            try writeFile(mount("file"), bytes)
            mount.fileSystem.hold("read \(try status(mount("file")).st_ino)")
            let shared = SharedResult()
            let thread = startThread { shared.set((try? readFile(mount("file"))) == bytes ? 1 : 0) }
            #expect(eventually { mount.fileSystem.waitingCount > 0 })
            mount.fileSystem.letGo()
            pthread_join(thread, nil)
            #expect(shared.value == 1)
        }
    }

    /// Reads are not tried: the kernel waits for them without listening to signals other than SIGKILL.
    @Test func aSignalInterruptsAWait() throws {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in }
        sigaction(SIGUSR1, &action, nil)
        try withMount { mount in
            mount.fileSystem.hold("absent")
            let shared = SharedResult()
            let thread = startThread { shared.set(access(mount("absent"), F_OK) == 0 ? 0 : errno) }
            #expect(eventually { mount.fileSystem.waitingCount == 1 })
            usleep(50_000)
            pthread_kill(thread, SIGUSR1)
            pthread_join(thread, nil)
            #expect(shared.value == EINTR)
            mount.fileSystem.letGo()
            #expect(throws: Errno.noSuchFileOrDirectory) { try status(mount("absent")) }
        }
    }

    /// Interrupts and answers that meet: each call ends one way or the other, and the session stays whole.
    @Test func interruptsRaceWithAnswers() throws {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in }
        sigaction(SIGUSR1, &action, nil)
        try withMount { mount in
            for round in 0..<300 {
                mount.fileSystem.hold("absent")
                let shared = SharedResult()
                let thread = startThread { shared.set(access(mount("absent"), F_OK) == 0 ? 0 : errno) }
                #expect(eventually { mount.fileSystem.waitingCount == 1 })
                let killer = startThread { pthread_kill(thread, SIGUSR1) }
                if round % 3 == 0 { usleep(UInt32(round)) }
                mount.fileSystem.letGo()
                pthread_join(killer, nil)
                pthread_join(thread, nil)
                #expect(shared.value == EINTR || shared.value == ENOENT)
            }
            let names = try list(mount.path)
            #expect(names.sorted() == [".", ".."])
        }
    }

    @Test func umountEndsTheSession() throws {
        let mount = try TestMount()
        try writeFile(mount("file"), [1])
        try check(umount2(mount.path, 0))
        #expect(mount.session.join() == .unmounted)
        #expect(try MountTable.current().mount(at: mount.path) == nil)
        rmdir(mount.path)
    }

    @Test func stopEndsTheSessionWhileFilesAreOpen() throws {
        let mount = try TestMount()
        let descriptor = try check(open(mount("file"), O_RDWR | O_CREAT, 0o600))
        let clock = ContinuousClock()
        let time = clock.measure { #expect(mount.end(byStop: true) == .stopped) }
        #expect(time < .seconds(2))
        #expect(try MountTable.current().mount(at: mount.path) == nil)
        #expect(write(descriptor, "x", 1) == -1)
        close(descriptor)
    }

    @Test func stopAnswersWhoWaits() throws {
        let mount = try TestMount()
        mount.fileSystem.hold("absent")
        let shared = SharedResult()
        let thread = startThread { shared.set(access(mount("absent"), F_OK) == 0 ? 0 : errno) }
        #expect(eventually { mount.fileSystem.waitingCount == 1 })
        mount.end(byStop: true)
        pthread_join(thread, nil)
        #expect(shared.value == ENOTCONN)
        mount.fileSystem.letGo()
    }

    /// Whichever thread the kernel picks for the signal.
    @Test func aTerminationSignalIsHeardOnce() throws {
        try TerminationSignals.capture()
        let heard = SharedResult()
        let mount = try TestMount()
        try TerminationSignals.wait { number in
            heard.set(number)
            mount.session.stop()
        }
        kill(getpid(), SIGTERM)
        #expect(mount.session.join() == .stopped)
        #expect(heard.value == SIGTERM)
        rmdir(mount.path)
    }

    @Test func sessionsFollowEachOther() throws {
        for _ in 0..<20 {
            let mount = try TestMount()
            try writeFile(mount("file"), [1])
            #expect(mount.end(byStop: true) == .stopped)
        }
    }

    @Test func aMountPointMustBeAnEmptyDirectoryOfItsOwn() throws {
        let path = try MountedSession.makeDirectory()
        defer { rmdir(path) }
        func check(_ path: String) throws(FuseError) { try FuseSession.check(mountPoint: path, options: .test) }
        #expect(throws: FuseError.mountPointMissing(path + "/absent")) { try check(path + "/absent") }
        try writeFile(path + "/file", [])
        #expect(throws: FuseError.notADirectory(path + "/file")) { try check(path + "/file") }
        #expect(throws: FuseError.notADirectory(path + "/file/x")) { try check(path + "/file/x") }
        #expect(throws: FuseError.notEmpty(path)) { try check(path) }
        unlink(path + "/file")
        try check(path)
        try withMount { mount in
            #expect(throws: FuseError.alreadyMounted(mount.path, source: "test:a,b\\c", type: "fuse.sluice")) {
                try check(mount.path)
            }
        }
    }
}

/// What a thread found out.
final class SharedResult: Sendable {
    private let result = Mutex<Int32?>(nil)
    func set(_ value: Int32) { result.withLock { $0 = value } }
    var value: Int32? { result.withLock { $0 } }
}
