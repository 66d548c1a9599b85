import ObjectStore
import TestKit
import Testing

@Suite struct PrefixStoreTests {
    /// All but the one that needs keys of the full length: below a prefix there is less room.
    @Test(arguments: StoreConformance.Behaviour.allCases.filter { $0 != .longKeys })
    func conforms(behaviour: StoreConformance.Behaviour) async throws {
        let limits = MultipartLimits(minimumPartSize: 1000, maximumPartSize: 8 << 20, maximumPartCount: 10)
        let store = PrefixStore(MemoryStore(multipartLimits: limits), prefix: "p")
        try await StoreConformance(store, prefix: "").check(behaviour)
    }

    @Test func keysLieBelowThePrefixAndNothingElseIsSeen() async throws {
        let base = MemoryStore()
        base.set(ObjectKey("robots/70/other"), [1])
        base.set(ObjectKey("robots"), [2])
        let store = PrefixStore(base, prefix: "robots/7")
        _ = try await store.put(ObjectKey("a"), body: MemoryByteSource("x"), metadata: [:], condition: .none)
        #expect(base.keys.map(\.string) == ["robots", "robots/7/a", "robots/70/other"])
        let page = try await store.list(prefix: "", delimiter: nil, continuation: nil, limit: 10)
        #expect(page.objects.map(\.key.string) == ["a"])
    }

    @Test func thePrefixCountsTowardsTheLengthOfAKey() async throws {
        let store = PrefixStore(MemoryStore(), prefix: "p")
        let key = ObjectKey(String(repeating: "k", count: 1022))
        _ = try await store.put(key, body: MemoryByteSource("x"), metadata: [:], condition: .none)
        await #expect(throws: StoreError.self) {
            let longer = ObjectKey(key.string + "k")
            _ = try await store.put(longer, body: MemoryByteSource("x"), metadata: [:], condition: .none)
        }
    }
}
