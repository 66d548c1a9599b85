import ObjectStore
import Platform
import Testing

struct ListingProgressTests {
    private func page(_ names: [String], next: String?) -> ListPage {
        let objects = names.map { name in
            ObjectInfo(key: ObjectKey(name), size: 1, etag: ETag("e"), lastModified: Timestamp(seconds: 0))
        }
        return ListPage(objects: objects, commonPrefixes: [], continuation: next)
    }

    /// How many of the pages that `make` gives are taken; nil if all of 100,000 are.
    private func taken(_ progress: ListingProgress = ListingProgress(), _ make: (Int) -> ListPage) -> Int? {
        var progress = progress
        for number in 0..<100_000 {
            do { try progress.take(make(number)) } catch {
                #expect(error.kind == .badAnswer)
                return number
            }
        }
        return nil
    }

    @Test func aListingThatGetsOnIsRead() {
        #expect(taken { page(["\($0)"], next: "\($0)") } == nil)
    }

    @Test func aListingThatGoesRoundInCirclesEnds() throws {
        let byToken = try #require(taken { page(["\($0)"], next: "\($0 % 7)") })
        #expect(byToken < 50)
        let byName = try #require(taken { page(["\($0 % 100)"], next: "\($0)") })
        #expect(byName < 1000)
        #expect(taken { _ in page(["a"], next: "t") } == 1)
    }

    @Test func pagesWithoutNamesEnd() throws {
        #expect(try #require(taken { page([], next: "\($0)") }) <= 1001)
        #expect(taken { page($0 % 900 == 0 ? ["\($0)"] : [], next: "\($0)") } == nil)
    }

    @Test func inventedNamesEnd() {
        #expect(taken(ListingProgress(nameLimit: 5000)) { page(["\($0)", "more"], next: "\($0)") } == 2500)
    }
}
