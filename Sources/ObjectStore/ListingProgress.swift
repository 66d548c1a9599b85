/// Whether a listing of many pages gets on, so that no store can keep one going for ever. Pure.
public struct ListingProgress: Sendable {
    /// Keys and prefixes of one listing; more are taken for a fault of the store.
    public static let usualNameLimit = 50_000_000
    /// Pages in a row without any name. S3 sends some where many versions are deleted.
    static let emptyPageLimit = 1000

    private let nameLimit: Int
    private var nameCount = 0
    private var emptyPages = 0
    private var pageCount = 0
    /// Of a page at a power of two: a listing that goes round in circles comes by it again (Brent).
    private var landmark: (continuation: String?, name: String?)

    public init(nameLimit: Int = usualNameLimit) {
        self.nameLimit = nameLimit
    }

    /// Takes the next page. Throws `.badAnswer` if the listing does not get on.
    public mutating func take(_ page: ListPage) throws(StoreError) {
        guard let continuation = page.continuation else { return }
        let name = page.objects.first?.key.string ?? page.commonPrefixes.first
        pageCount += 1
        nameCount += page.objects.count + page.commonPrefixes.count
        emptyPages = name == nil ? emptyPages + 1 : 0
        guard emptyPages <= Self.emptyPageLimit else { throw Self.error("has only empty pages") }
        guard nameCount <= nameLimit else { throw Self.error("does not end") }
        if pageCount > 1 {
            guard landmark.continuation != continuation, name == nil || landmark.name != name else {
                throw Self.error("goes round in circles")
            }
        }
        if pageCount & (pageCount - 1) == 0 { landmark = (continuation, name) }
    }

    private static func error(_ what: String) -> StoreError {
        StoreError(.badAnswer, message: "the store's listing \(what)")
    }
}
