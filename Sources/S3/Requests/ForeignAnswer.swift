import ObjectStore

/// Tells the store's answers from those of somebody in between, such as the login page of a network. Pure.
///
/// Such an answer proves nothing of the object it seems to speak of: it counts as no way to the store. What bears a
/// header of S3 (`x-amz-…`, `x-amzn-…`; `x-goog-…`) is the store's; not every store sends one, so an answer without is
/// judged by its form.
enum ForeignAnswer {
    /// Nil if the answer may be the store's. `.unreachable`, with what answered instead.
    static func error(in response: HTTPResponse, to request: S3Request) -> StoreError? {
        // What a receiver took was judged by its headers before.
        guard !isMarked(response.headers), request.receiver == nil || !response.isSuccess else { return nil }
        guard let stranger = stranger(in: response, to: request) else { return nil }
        return StoreError(
            .unreachable,
            message: "something else than the store answers, as a network does that wants a login: \(stranger)",
            status: response.status
        )
    }

    /// The same for the headers of an object's body, before any of it is taken.
    static func error(inHeadOf response: HTTPResponse, expecting etag: ETag?) -> StoreError? {
        let isKnown = etag.map { $0 == response.headers["etag"].map { ETag(header: $0) } } ?? false
        return isKnown ? nil : error(in: response, to: S3Request(method: .head, key: ObjectKey("")))
    }

    private static func isMarked(_ headers: HTTPHeaders) -> Bool {
        headers.fields.contains { field in
            field.name.hasPrefix("x-amz") || field.name.hasPrefix("x-goog-") || field.name.hasPrefix("x-guploader")
        }
    }

    private static func stranger(in response: HTTPResponse, to request: S3Request) -> String? {
        switch response.status {
        case 511: return "it asks for a login to the network"
        // A gateway's own page is the store's fault as far as anybody can tell, and is asked again.
        case 429, 500...599: return nil
        case 301...308:
            guard let location = response.headers["location"], !isXML(response.body) else { return nil }
            return "a redirect to \(host(of: location))"
        default: break
        }
        if isPage(response) { return "a web page" }
        let isText = !response.body.isEmpty && !isXML(response.body)
        if !response.isSuccess { return isText ? "a refusal that is not S3's" : nil }
        switch request.answer {
        case .document: return isText ? "a text that is no XML" : nil
        case .object: return response.headers["etag"] == nil ? "an answer without an ETag" : nil
        case .nothing: return response.body.isEmpty ? nil : "an answer where there should be none"
        }
    }

    /// Frameworks call an empty answer text/html by default, which says nothing.
    private static func isPage(_ response: HTTPResponse) -> Bool {
        if isHTML(response.body) { return true }
        let type = response.headers["content-type"]?.lowercased() ?? ""
        return (type.hasPrefix("text/html") || type.hasPrefix("application/xhtml")) && response.status != 204
            && response.headers["content-length"] != "0"
    }

    private static func isHTML(_ body: [UInt8]) -> Bool {
        let start = String(decoding: trimmed(body).prefix(16), as: UTF8.self).lowercased()
        return start.hasPrefix("<!doctype html") || start.hasPrefix("<html")
    }

    private static func isXML(_ body: [UInt8]) -> Bool { trimmed(body).first == UInt8(ascii: "<") && !isHTML(body) }

    /// Without the white space, and the mark of UTF-8, that may stand in front.
    private static func trimmed(_ body: [UInt8]) -> ArraySlice<UInt8> {
        body.drop { $0 == 0x20 || (0x09...0x0d).contains($0) || [0xef, 0xbb, 0xbf].contains($0) }
    }

    /// No more of the address than a person needs: the rest may carry what is nobody's business.
    private static func host(of location: String) -> String {
        let parts = location.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].hasSuffix(":"), parts[1].isEmpty else { return "another page" }
        let authority = parts[2].prefix { !"/?#".contains($0) }
        return String((authority.split(separator: "@").last ?? "").prefix(255))
    }
}

extension S3Request {
    /// What a success looks like.
    enum Answer {
        /// Headers that describe an object.
        case object
        /// XML.
        case document
        case nothing
    }

    var answer: Answer {
        switch method {
        case .head: .object
        case .get: key == nil || query.contains { $0.name == "uploadId" } ? .document : .object
        case .put: headers.contains { $0.name == "x-amz-copy-source" } ? .document : .object
        case .post: .document
        case .delete: .nothing
        }
    }
}
