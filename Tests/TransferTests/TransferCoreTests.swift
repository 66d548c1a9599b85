import Cache
import ObjectStore
import Platform
import TestKit
import Testing

@testable import Transfer

@Suite struct BackoffTests {
    @Test func waitsGrowToTheCapAndStayThere() {
        var random = SeededRandom(seed: 1)
        var backoff = Backoff()
        for failure in 0..<100 {
            let ceiling = min(
                60.0,
                Double(sequence(first: 1.0) { min($0 * 2, 64) }.prefix(failure + 1).suffix(1).first ?? 1)
            )
            let wait = backoff.next(using: &random)
            #expect(wait >= .milliseconds(500) && wait <= .seconds(ceiling))
        }
        backoff.reset()
        #expect(backoff.next(using: &random) <= .seconds(1))
    }
}

@Suite struct LinkStateTests {
    private let gone = StoreError(.unreachable, message: "")

    @Test func onlySeveralFailuresInARowMeanThatTheLinkIsGone() {
        var link = LinkState()
        let news = [gone, gone, nil, gone, gone].map { link.record($0) }
        #expect(news == [false, false, false, false, false] && link.condition == .online)
        let isNews = link.record(gone)
        #expect(isNews && link.condition == .offline)
        let isNewsAgain = link.record(gone)
        #expect(!isNewsAgain)
    }

    @Test func anyAnswerOfAServerProvesTheLink() {
        var link = LinkState()
        for _ in 0..<3 { _ = link.record(gone) }
        let cancelled = link.record(StoreError(.cancelled, message: ""))
        #expect(!cancelled && link.condition == .offline)
        let refused = link.record(StoreError(.accessDenied, message: ""))
        #expect(refused && link.condition == .online)
    }

    @Test func oneRefusalOfTheKeysIsEnoughAndARefusalWithoutAReasonDoesNotEndIt() {
        var link = LinkState()
        let refused = link.record(StoreError(.badCredentials, code: "ExpiredToken", message: "expired"))
        #expect(refused && link.condition == .offline && link.lacksKeys)
        // What HEAD says of keys that are wrong has no body.
        let bare = link.record(StoreError(.accessDenied, message: "the store answered 403", status: 403))
        #expect(!bare && link.reason?.contains("ExpiredToken") == true)
        let answered = link.record(StoreError(.notFound, message: ""))
        #expect(answered && link.condition == .online && !link.lacksKeys)
    }

    @Test func pauseIsShownOverAllElse() {
        var link = LinkState()
        link.isPaused = true
        for _ in 0..<3 { _ = link.record(gone) }
        #expect(link.condition == .paused)
        link.isPaused = false
        #expect(link.condition == .offline)
    }
}

@Suite struct RateMeterTests {
    @Test func theRateIsThatOfTheWindow() {
        var meter = RateMeter(window: .seconds(10))
        for second in 0..<30 { meter.add(1000, at: .seconds(second)) }
        #expect(meter.bytesPerSecond(at: .seconds(29)) == 1000)
        #expect(meter.bytesPerSecond(at: .seconds(34)) == 500)
        #expect(meter.bytesPerSecond(at: .seconds(60)) == 0)
    }
}

@Suite struct PartPlanTests {
    private let limits = MultipartLimits.s3

    private let equal = MultipartLimits(
        minimumPartSize: 5 << 20, maximumPartSize: 5 << 30, maximumPartCount: 10_000, hasEqualParts: true)

    @Test(arguments: [16 << 20 + 1, 1 << 30, 80 << 30, 1 << 40, 5 << 40, 48 << 40], [false, true])
    func anyFileFitsIntoTenThousandParts(_ size: Int64, _ hasEqualParts: Bool) throws {
        let plan = try #require(PartPlan(size: size, limits: hasEqualParts ? equal : limits))
        #expect(plan.count <= 10_000 && plan.partSize >= 8 << 20)
        var end: Int64 = 0
        for number in 1...plan.count {
            let range = plan.range(number)
            #expect(range.lowerBound == end && !range.isEmpty && range.length <= 5 << 30)
            #expect(number == plan.count || range == plan.place(of: number))
            #expect(!hasEqualParts || number == plan.count || range.length == plan.partSize)
            end = range.upperBound
        }
        #expect(end == size)
    }

    @Test func aFileThatGrowsKeepsThePartsThatItHas() throws {
        let small = try #require(PartPlan(size: 20 << 20, limits: limits))
        let large = try #require(PartPlan(size: 1 << 40, partSize: small.partSize, limits: limits))
        #expect(small.fullCount == 2 && small.count == 3)
        #expect((1...2).allSatisfy { small.range($0) == large.range($0) })
        #expect(try #require(PartPlan(size: 24 << 20, limits: limits)).fullCount == 3)
    }

    @Test func smallFilesGoInOneRequest() {
        #expect(!PartPlan.isMultipart(size: 16 << 20, limits: limits))
        #expect(PartPlan.isMultipart(size: 16 << 20 + 1, limits: limits))
        #expect(PartPlan(size: 60 << 40, limits: limits) == nil)
    }

    @Test func aFileThatOutgrewItsPartsNeedsANewUpload() {
        #expect(PartPlan(size: 10_000 * (8 << 20), partSize: 8 << 20, limits: equal) != nil)
        #expect(PartPlan(size: 10_000 * (8 << 20) + 1, partSize: 8 << 20, limits: equal) == nil)
        #expect(PartPlan(size: 10_000 * (8 << 20) + 1, partSize: 8 << 20, limits: limits) != nil)
    }
}

@Suite struct UploadQueueTests {
    private let a = InodeNumber(rawValue: 1)
    private let b = InodeNumber(rawValue: 2)
    private let c = InodeNumber(rawValue: 3)
    private var random = SeededRandom(seed: 1)

    @Test func theEarliestIsFirstAndNoneBeforeItsTime() {
        var queue = UploadQueue(concurrency: 4)
        queue.schedule(a, at: .seconds(3))
        queue.schedule(b, at: .seconds(1))
        #expect(queue.next(at: .zero) == .wait(until: .seconds(1)))
        #expect(queue.next(at: .seconds(2)) == .start(b, isUrgent: false))
        #expect(queue.next(at: .seconds(2)) == .wait(until: .seconds(3)))
        #expect(queue.next(at: .seconds(3)) == .start(a, isUrgent: false))
        #expect(queue.next(at: .seconds(3)) == .wait(until: nil))
    }

    @Test func wishesCoalesceToTheLast() {
        var queue = UploadQueue(concurrency: 4)
        queue.schedule(a, at: .seconds(1))
        queue.schedule(a, at: .seconds(2))
        #expect(queue.next(at: .seconds(1)) == .wait(until: .seconds(2)))
        #expect(queue.next(at: .seconds(2)) == .start(a, isUrgent: false))
        queue.finished(a)
        #expect(queue.isIdle)
    }

    @Test func urgentOnesGoFirstAndBreakOffABackOff() {
        var queue = UploadQueue(concurrency: 1)
        var random = random
        queue.schedule(a, at: .zero)
        #expect(queue.next(at: .zero) == .start(a, isUrgent: false))
        let wait = queue.failed(a, at: .zero, using: &random)
        queue.schedule(a, at: .zero)
        #expect(queue.next(at: wait / 2) == .wait(until: wait))
        queue.schedule(b, at: .zero)
        queue.schedule(a, at: .zero, isUrgent: true)
        #expect(queue.next(at: .zero) == .start(a, isUrgent: true))
        #expect(queue.next(at: .zero) == .wait(until: nil))
    }

    @Test func whoWaitsForOneThatFailedWaitsOnAndKeepsNobodyElse() {
        var queue = UploadQueue(concurrency: 1)
        var random = random
        queue.schedule(a, at: .zero, isUrgent: true)
        #expect(queue.next(at: .zero) == .start(a, isUrgent: true))
        let wait = queue.failed(a, at: .zero, using: &random)
        queue.schedule(b, at: .zero)
        #expect(queue.next(at: .zero) == .start(b, isUrgent: false))
        queue.finished(b)
        #expect(queue.next(at: wait) == .start(a, isUrgent: true))
    }

    @Test func aWishDuringTheWorkIsTakenUpAfterIt() {
        var queue = UploadQueue(concurrency: 2)
        queue.schedule(a, at: .zero)
        #expect(queue.next(at: .zero) == .start(a, isUrgent: false))
        queue.schedule(a, at: .seconds(1))
        #expect(queue.next(at: .seconds(5)) == .wait(until: nil))
        queue.finished(a)
        #expect(queue.next(at: .seconds(5)) == .start(a, isUrgent: false))
    }

    @Test func theReturnOfTheLinkEndsEveryBackOff() {
        var queue = UploadQueue(concurrency: 3)
        var random = random
        for number in [a, b] {
            queue.schedule(number, at: .zero)
            _ = queue.next(at: .zero)
            queue.failed(number, at: .zero, using: &random)
        }
        queue.schedule(c, at: .seconds(100))
        queue.wakeAll(at: .zero)
        let started = [queue.next(at: .zero), queue.next(at: .zero)]
        #expect(started.contains(.start(a, isUrgent: false)) && started.contains(.start(b, isUrgent: false)))
        #expect(queue.next(at: .zero) == .wait(until: .seconds(100)))
    }

    @Test func noMoreThanTheBoundRunAndNoneWhilePaused() {
        var queue = UploadQueue(concurrency: 2)
        for number in [a, b, c] { queue.schedule(number, at: .zero) }
        queue.isPaused = true
        #expect(queue.next(at: .zero) == .wait(until: nil))
        queue.isPaused = false
        _ = queue.next(at: .zero)
        _ = queue.next(at: .zero)
        #expect(queue.runningCount == 2)
        #expect(queue.next(at: .zero) == .wait(until: nil))
        queue.forget(c)
        queue.finished(a)
        #expect(queue.next(at: .zero) == .wait(until: nil))
        #expect(queue.waitingCount == 0)
    }

    @Test func manyWishesKeepTheHeapSmallAndTheOrderRight() {
        var queue = UploadQueue(concurrency: 1_000_000)
        var random = random
        var expected: [InodeNumber: Int] = [:]
        for _ in 0..<20_000 {
            let number = InodeNumber(rawValue: random.next() % 100)
            let ready = Int.random(in: 0..<1000, using: &random)
            queue.schedule(number, at: .milliseconds(ready))
            expected[number] = ready
        }
        var last = -1
        while case .start(let number, _) = queue.next(at: .seconds(10)) {
            let ready = expected.removeValue(forKey: number) ?? -2
            #expect(ready >= last)
            last = ready
        }
        #expect(expected.isEmpty)
    }
}

@Suite struct PosixMetadataTests {
    private var full: PosixMetadata {
        var metadata = PosixMetadata()
        metadata.kind = .file
        metadata.permissions = 0o644
        metadata.userID = 1000
        metadata.groupID = 100
        metadata.modified = Timestamp(seconds: 1_700_000_000, nanoseconds: 42)
        metadata.changed = Timestamp(seconds: 1_700_000_001)
        metadata.extendedAttributes = ["user.comment": Array("grün, \"ja\"".utf8), "user.empty": []]
        metadata.uploadToken = "token"
        return metadata
    }

    @Test func whatIsWrittenIsReadBack() {
        #expect(PosixMetadata(decoding: full.encoded) == full)
        #expect(full.encoded.allSatisfy { $0.value.utf8.allSatisfy { (33...126).contains($0) } })
    }

    @Test func theFormIsThatOfS3FS() {
        let encoded = full.encoded
        #expect(encoded["mode"] == "33188" && encoded["uid"] == "1000" && encoded["gid"] == "100")
        #expect(encoded["mtime"] == "1700000000.000000042" && encoded["ctime"] == "1700000001")
        #expect(
            encoded["xattr"]
                == "%7B%22user.comment%22%3A%22Z3LDvG4sICJqYSI%3D%22%2C%22user.empty%22%3A%22%22%7D"
        )
    }

    @Test func foreignFormsOfTimesAreRead() {
        func modified(_ metadata: [String: String]) -> Timestamp? { PosixMetadata(decoding: metadata).modified }
        #expect(modified(["mtime": "1700000000"]) == Timestamp(seconds: 1_700_000_000))
        #expect(modified(["mtime": "1354040105.5"]) == Timestamp(seconds: 1_354_040_105, nanoseconds: 500_000_000))
        #expect(modified(["mtime": "-1.25"]) == Timestamp(nanoseconds: -1_250_000_000))
        #expect(
            modified(["mtime": "2006-01-02T15:04:05.000000007+07:00"])
                == Timestamp(seconds: 1_136_189_045, nanoseconds: 7)
        )
        #expect(modified(["file-mtime": "1595002920000000001ns"]) == Timestamp(nanoseconds: 1_595_002_920_000_000_001))
        #expect(modified(["file-mtime": "1595002920001"]) == Timestamp(nanoseconds: 1_595_002_920_001_000_000))
    }

    @Test func attributesOfAWSAreRead() {
        let metadata = PosixMetadata(
            decoding: ["file-permissions": "0100664", "file-owner": "1000", "file-group": "100"])
        #expect(metadata.kind == .file && metadata.permissions == 0o664)
        #expect(metadata.userID == 1000 && metadata.groupID == 100)
    }

    @Test func setIDBitsAreNotTakenFromABucket() {
        let setID = PosixMetadata(decoding: ["mode": String(0o106755)])
        #expect(setID.permissions == 0o755)
        let device = PosixMetadata(decoding: ["mode": String(0o060660), "rdev": "2049"])
        #expect(device.kind == .blockDevice && device.permissions == 0o660 && device.device == 2049)
        #expect(PosixMetadata(decoding: ["mode": String(0o041777)]).permissions == 0o1777)
        #expect(PosixMetadata(decoding: ["mode": String(0o120777)]).kind == .symbolicLink)
    }

    @Test func badValuesAreAsGoodAsNone() {
        let metadata = PosixMetadata(decoding: [
            "mode": "rw-r--r--", "uid": "-1", "gid": "99999999999", "mtime": "yesterday", "ctime": "1.x",
            "xattr": "%7B%2", "file-mtime": "ns",
        ])
        #expect(metadata == PosixMetadata())
        #expect(PosixMetadata(decoding: ["xattr": "{\"a\":\"!\",\"b\":\"YQ==\"}"]).extendedAttributes == ["b": [97]])
        for text in ["2006-13-02T15:04:05Z", "2006-01-02T15:04:05", "2006-01-02", "2006-01-02T25:04:05Z", "", "."] {
            #expect(PosixMetadata(decoding: ["mtime": text]).modified == nil, "\(text)")
        }
    }

    @Test func whatNoStoreTakesDoesNotFit() {
        var metadata = full
        #expect(metadata.fits)
        metadata.extendedAttributes["user.big"] = [UInt8](repeating: 1, count: 2000)
        #expect(!metadata.fits)
        metadata.extendedAttributes = ["user.\"": []]
        #expect(!metadata.fits)
    }

    @Test func base64IsTheStandardOne() {
        for (text, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            #expect(Base64.encode(Array(text.utf8)) == encoded)
            #expect(Base64.decode(encoded) == Array(text.utf8))
        }
        #expect(Base64.decode("Z") == nil && Base64.decode("Zm=v") == nil && Base64.decode("Z*9v") == nil)
    }
}

@Suite struct WritebackPlanTests {
    private let key = ObjectKey("a")
    private let remote = RemoteObject(key: ObjectKey("a"), etag: ETag("e"), size: 1)

    private func snapshot(
        _ pending: PendingChange,
        remote: RemoteObject? = nil,
        kind: InodeKind = .file
    ) -> WritebackPlan.Snapshot {
        var inode = Inode(
            number: InodeNumber(rawValue: 5),
            kind: kind,
            permissions: 0,
            userID: 0,
            groupID: 0,
            time: Timestamp(nanoseconds: 0)
        )
        inode.pending = pending
        inode.remote = remote
        return WritebackPlan.Snapshot(inode: inode, key: key)
    }

    private func plan(_ snapshot: WritebackPlan.Snapshot, isUrgent: Bool = false) -> WritebackPlan {
        WritebackPlan(snapshot, isUrgent: isUrgent)
    }

    @Test func contentIsPutUnderTheConditionThatTheKeyIsAsItWasKnown() {
        #expect(plan(snapshot(.content)) == .put(key, .ifAbsent))
        #expect(plan(snapshot(.content, remote: remote)) == .put(key, .ifMatch(ETag("e"))))
        var buried = snapshot(.content)
        buried.tombstone = Tombstone(key: key, etag: ETag("t"), token: nil)
        #expect(plan(buried) == .put(key, .ifMatch(ETag("t"))))
        buried.tombstone?.etag = nil
        #expect(plan(buried) == .put(key, .ifAbsent))
    }

    @Test func movesAndAttributesAreCopiesOnTheServer() {
        let elsewhere = RemoteObject(key: ObjectKey("b"), etag: ETag("e"), size: 1)
        #expect(plan(snapshot(.location, remote: elsewhere)) == .copy(elsewhere, to: key, .ifAbsent))
        #expect(plan(snapshot(.metadata, remote: elsewhere)) == .copy(elsewhere, to: key, .ifAbsent))
        #expect(plan(snapshot(.metadata, remote: remote)) == .copy(remote, to: key, .ifMatch(ETag("e"))))
        #expect(plan(snapshot([.content, .location], remote: elsewhere)) == .put(key, .ifAbsent))
        #expect(plan(snapshot(.location, remote: elsewhere, kind: .directory)) == .put(key, .ifAbsent))
    }

    @Test func staleFlagsAreCleared() {
        #expect(plan(snapshot([])) == .nothing)
        #expect(plan(snapshot(.location, remote: remote)) == .clear)
        #expect(plan(snapshot([], kind: .directory)) == .nothing)
        #expect(plan(snapshot(.location, kind: .directory)) == .clear)
        #expect(plan(snapshot(.metadata, kind: .directory)) == .put(key, .ifAbsent))
    }

    @Test func aKeyThatAnotherStillHoldsIsWaitedFor() {
        var waiting = snapshot(.content)
        waiting.occupant = InodeNumber(rawValue: 9)
        #expect(plan(waiting) == .wait(for: InodeNumber(rawValue: 9)))
        waiting.isInCircle = true
        #expect(plan(waiting) == .wait(for: InodeNumber(rawValue: 9)))
        waiting.inode.remote = RemoteObject(key: ObjectKey("b"), etag: ETag("e"), size: 1)
        #expect(plan(waiting) == .detach)
    }

    @Test func aFileBeingWrittenGrowsUnlessItIsUrgentOrLiesStill() {
        var open = snapshot(.content)
        open.isOpenForWriting = true
        #expect(plan(open) == .stream(to: key))
        #expect(plan(open, isUrgent: true) == .put(key, .ifAbsent))
        open.isQuiet = true
        #expect(plan(open) == .put(key, .ifAbsent))
    }

    @Test(arguments: [".active", ".tmp", ".part", ".partial"])
    func aFileThatWillBeRenamedGrowsAtItsFinalKeyAndIsNotWholeBefore(_ suffix: String) {
        var open = snapshot(.content)
        open.key = ObjectKey("dir/x.bag" + suffix)
        open.isOpenForWriting = true
        #expect(plan(open) == .stream(to: ObjectKey("dir/x.bag")))
        open.isQuiet = true
        #expect(plan(open) == .stream(to: ObjectKey("dir/x.bag")))
        open.isOpenForWriting = false
        #expect(plan(open) == .put(ObjectKey("dir/x.bag" + suffix), .ifAbsent))
        open.isOpenForWriting = true
        open.isQuiet = false
        open.key = ObjectKey("dir/" + suffix)
        #expect(plan(open) == .stream(to: ObjectKey("dir/" + suffix)))
    }

    @Test func withoutANameNothingIsSent() {
        var gone = snapshot(.content)
        gone.key = nil
        #expect(plan(gone) == .nothing)
    }
}
