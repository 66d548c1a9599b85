import ObjectStore
import Testing

/// What every ``ObjectStore`` must do, one behaviour at a time, run against memory, a directory and live S3 servers.
///
/// A test target runs it as `@Test(arguments: StoreConformance.Behaviour.allCases)`; behaviours that a server lacks
/// are taken from that list by name, so that what is left out stands in the test.
public struct StoreConformance: Sendable {
    public enum Behaviour: String, CaseIterable, Sendable {
        case putThenGetGivesTheSameBytes
        case headTellsSizeETagAndMetadata
        case anEmptyObjectIsAnObject
        case largeBodiesComeBackWhole
        case whatIsNotThereIsNotFound
        case rangesAreClippedAtTheEnd
        case rangesOutsideAreRefused
        case getIfMatchRefusesAnotherVersion
        case eTagsFollowTheContent
        case eTagsOfPutsAreMD5
        case metadataIsReplacedWithTheObject
        case metadataNearTheLimitIsKept
        case putIfAbsent
        case putIfMatch
        case oneOfManyConcurrentPutsIfAbsentWins
        case deleteIsIdempotent
        case deleteIfMatch
        case deleteManyRemovesAll
        case listIsOrderedByUTF8Bytes
        case listPagesJoinToTheWhole
        case listWithDelimiterFoldsAndPages
        case listWithAnyDelimiter
        case listPrefixNeedNotEndAtADelimiter
        case listOfNothingIsEmpty
        case directoryMarkersAreObjects
        case anObjectBesideItsDirectory
        case keysThatNoPathCanCarry
        case longKeys
        case keysOutsideTheLimitAreRefused
        case canonicallyEquivalentKeysAreDifferent
        case copyKeepsOrReplacesMetadata
        case copyRefusesAnotherVersionOfTheSource
        case copyIfAbsent
        case multipartBecomesOneObject
        case aPartSentAgainReplacesTheFormer
        case completeTakesOnlyTheNamedParts
        case completeRefusesWrongParts
        case completeIfAbsent
        case completeIfMatch
        case abortedUploadsAreGone
        case partCopyJoinsOldAndNewBytes
        case partCopyRefusesAnotherVersionOfTheSource
    }

    let store: any ObjectStore
    let prefix: String

    /// `prefix`: where all keys of this check lie; no other test may write below it. It should end in `/`.
    public init(_ store: any ObjectStore, prefix: String) {
        self.store = store
        self.prefix = prefix
    }

    /// Records an issue for every rule that does not hold; throws when the store refuses what it must accept.
    public func check(_ behaviour: Behaviour) async throws {
        switch behaviour {
        case .putThenGetGivesTheSameBytes: try await putThenGetGivesTheSameBytes()
        case .headTellsSizeETagAndMetadata: try await headTellsSizeETagAndMetadata()
        case .anEmptyObjectIsAnObject: try await anEmptyObjectIsAnObject()
        case .largeBodiesComeBackWhole: try await largeBodiesComeBackWhole()
        case .whatIsNotThereIsNotFound: try await whatIsNotThereIsNotFound()
        case .rangesAreClippedAtTheEnd: try await rangesAreClippedAtTheEnd()
        case .rangesOutsideAreRefused: try await rangesOutsideAreRefused()
        case .getIfMatchRefusesAnotherVersion: try await getIfMatchRefusesAnotherVersion()
        case .eTagsFollowTheContent: try await eTagsFollowTheContent()
        case .eTagsOfPutsAreMD5: try await eTagsOfPutsAreMD5()
        case .metadataIsReplacedWithTheObject: try await metadataIsReplacedWithTheObject()
        case .metadataNearTheLimitIsKept: try await metadataNearTheLimitIsKept()
        case .putIfAbsent: try await putIfAbsent()
        case .putIfMatch: try await putIfMatch()
        case .oneOfManyConcurrentPutsIfAbsentWins: try await oneOfManyConcurrentPutsIfAbsentWins()
        case .deleteIsIdempotent: try await deleteIsIdempotent()
        case .deleteIfMatch: try await deleteIfMatch()
        case .deleteManyRemovesAll: try await deleteManyRemovesAll()
        case .listIsOrderedByUTF8Bytes: try await listIsOrderedByUTF8Bytes()
        case .listPagesJoinToTheWhole: try await listPagesJoinToTheWhole()
        case .listWithDelimiterFoldsAndPages: try await listWithDelimiterFoldsAndPages()
        case .listWithAnyDelimiter: try await listWithAnyDelimiter()
        case .listPrefixNeedNotEndAtADelimiter: try await listPrefixNeedNotEndAtADelimiter()
        case .listOfNothingIsEmpty: try await listOfNothingIsEmpty()
        case .directoryMarkersAreObjects: try await directoryMarkersAreObjects()
        case .anObjectBesideItsDirectory: try await anObjectBesideItsDirectory()
        case .keysThatNoPathCanCarry: try await keysThatNoPathCanCarry()
        case .longKeys: try await longKeys()
        case .keysOutsideTheLimitAreRefused: try await keysOutsideTheLimitAreRefused()
        case .canonicallyEquivalentKeysAreDifferent: try await canonicallyEquivalentKeysAreDifferent()
        case .copyKeepsOrReplacesMetadata: try await copyKeepsOrReplacesMetadata()
        case .copyRefusesAnotherVersionOfTheSource: try await copyRefusesAnotherVersionOfTheSource()
        case .copyIfAbsent: try await copyIfAbsent()
        case .multipartBecomesOneObject: try await multipartBecomesOneObject()
        case .aPartSentAgainReplacesTheFormer: try await aPartSentAgainReplacesTheFormer()
        case .completeTakesOnlyTheNamedParts: try await completeTakesOnlyTheNamedParts()
        case .completeRefusesWrongParts: try await completeRefusesWrongParts()
        case .completeIfAbsent: try await completeIfAbsent()
        case .completeIfMatch: try await completeIfMatch()
        case .abortedUploadsAreGone: try await abortedUploadsAreGone()
        case .partCopyJoinsOldAndNewBytes: try await partCopyJoinsOldAndNewBytes()
        case .partCopyRefusesAnotherVersionOfTheSource: try await partCopyRefusesAnotherVersionOfTheSource()
        }
    }

    // MARK: Helpers

    func key(_ name: String) -> ObjectKey { ObjectKey(prefix + name) }

    @discardableResult
    func put(
        _ name: String, _ text: String, metadata: [String: String] = [:], _ condition: WriteCondition = .none
    ) async throws -> ETag {
        try await store.put(key(name), body: MemoryByteSource(text), metadata: metadata, condition: condition)
    }

    func bytes(_ name: String, _ range: Range<Int64>? = nil, ifMatch: ETag? = nil) async throws -> [UInt8] {
        let sink = MemoryByteSink()
        let info = try await store.get(key(name), range: range, ifMatch: ifMatch, into: sink)
        #expect(info.key == key(name))
        #expect(sink.info == info)
        return sink.bytes
    }

    func text(_ name: String, _ range: Range<Int64>? = nil, ifMatch: ETag? = nil) async throws -> String {
        String(decoding: try await bytes(name, range, ifMatch: ifMatch), as: UTF8.self)
    }

    /// Every page of a listing below the prefix, names relative to it, prefixes and objects in the order they came.
    func listAll(
        _ name: String = "", delimiter: String? = nil, limit: Int = 1000
    ) async throws -> (names: [String], groups: [String], pages: Int) {
        var all: (names: [String], groups: [String], pages: Int) = ([], [], 0)
        var continuation: String?
        repeat {
            let page = try await store.list(
                prefix: prefix + name, delimiter: delimiter, continuation: continuation, limit: limit)
            #expect(page.objects.count + page.commonPrefixes.count <= limit)
            all.names += page.objects.map { String($0.key.string.dropFirst(prefix.count)) }
            all.groups += page.commonPrefixes.map { String($0.dropFirst(prefix.count)) }
            all.pages += 1
            continuation = page.continuation
            try #require(all.pages < 1000, "the listing does not end")
        } while continuation != nil
        return all
    }

    func expect(
        _ kinds: StoreError.Kind..., sourceLocation: SourceLocation = #_sourceLocation,
        _ request: () async throws -> Void
    ) async {
        do {
            try await request()
            Issue.record("the store accepted it; expected \(kinds)", sourceLocation: sourceLocation)
        } catch let error as StoreError {
            #expect(kinds.contains(error.kind), "\(error)", sourceLocation: sourceLocation)
        } catch {
            Issue.record(error, sourceLocation: sourceLocation)
        }
    }
}
