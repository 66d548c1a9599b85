import ObjectStore
import TestKit
import Testing

@Suite struct MemoryStoreTests {
    @Test(arguments: StoreConformance.Behaviour.allCases)
    func conforms(behaviour: StoreConformance.Behaviour) async throws {
        let limits = MultipartLimits(minimumPartSize: 1000, maximumPartSize: 8 << 20, maximumPartCount: 10)
        try await StoreConformance(MemoryStore(multipartLimits: limits), prefix: "").check(behaviour)
        try await StoreConformance(MemoryStore(multipartLimits: limits), prefix: "some/where/").check(behaviour)
    }
}
