import ObjectStore

/// Operations on the bucket: listing, and deleting many objects.
extension S3Store {
    /// What one request may list or delete (S3 API).
    static let pageLimit = 1000

    public func list(
        prefix: String,
        delimiter: String?,
        continuation: String?,
        limit: Int
    ) async throws(StoreError) -> ListPage {
        var query = [
            (name: "list-type", value: "2"), (name: "encoding-type", value: "url"),
            (name: "max-keys", value: String(min(max(limit, 1), Self.pageLimit))),
        ]
        if !prefix.isEmpty { query.append(("prefix", prefix)) }
        if let delimiter { query.append(("delimiter", delimiter)) }
        if let continuation { query.append(("continuation-token", continuation)) }
        let request = S3Request(method: .get, query: query, bodyLimit: ListAnswer.bodyLimit)
        return try await client.send {
            request
        } read: { (response) throws(StoreError) in
            let page = try ListAnswer.parse(response.body)
            if let continuation, page.continuation == continuation {
                throw StoreError(.badAnswer, message: "the listing does not advance")
            }
            return page
        }
    }

    /// Keys that XML cannot express are deleted one by one.
    public func delete(_ keys: [ObjectKey]) async throws(StoreError) -> [ObjectKey: StoreError] {
        guard keys.count <= Self.pageLimit else {
            throw StoreError(.refused, message: "one request deletes at most 1,000 keys, not \(keys.count)")
        }
        var failures: [ObjectKey: StoreError] = [:]
        let expressible = keys.filter { XMLWriter.canExpress($0.string) }
        if !expressible.isEmpty { failures = try await deleteTogether(expressible) }
        for key in keys where !XMLWriter.canExpress(key.string) {
            do { try await delete(key, ifMatch: nil) } catch { failures[key] = error }
        }
        return failures
    }

    private func deleteTogether(_ keys: [ObjectKey]) async throws(StoreError) -> [ObjectKey: StoreError] {
        let body = XMLWriter.delete(keys)
        let request = S3Request(
            method: .post,
            query: [("delete", "")],
            body: .bytes(body),
            digest: BodyDigest(of: body),
            isSlow: true
        )
        return try await client.send {
            request
        } read: { (response) throws(StoreError) in
            let answer = try Self.result(in: response, root: "DeleteResult")
            return Self.failures(answer, requestID: response.headers["x-amz-request-id"] ?? "")
        }
    }

    private static func failures(_ answer: XMLRecords, requestID: String) -> [ObjectKey: StoreError] {
        var failures: [ObjectKey: StoreError] = [:]
        for record in answer.records["Error"] ?? [] {
            let error = ErrorAnswer.error(
                code: record["Code"] ?? "",
                message: record["Message"] ?? "",
                requestID: requestID
            )
            if error.kind != .notFound { failures[ObjectKey(record["Key"] ?? "")] = error }
        }
        return failures
    }
}
