import ObjectStore

/// One request as it goes on the wire, signature included.
struct HTTPRequest: Sendable {
    enum Method: String, Sendable {
        case get = "GET"
        case head = "HEAD"
        case put = "PUT"
        case post = "POST"
        case delete = "DELETE"
    }

    enum Body: Sendable {
        case none
        case bytes([UInt8])
        case source(any ByteSource)

        /// Bytes.
        var count: Int64 {
            switch self {
            case .none: 0
            case .bytes(let bytes): Int64(bytes.count)
            case .source(let source): source.count
            }
        }
    }

    /// What most answers stay far below; bytes.
    static let usualBodyLimit = 1 << 20

    var method: Method
    var url: String
    /// Without CR, LF and NUL; see ``isWellFormed``.
    var headers: [(name: String, value: String)] = []
    var body: Body = .none
    /// Takes a successful body; nil to have it collected.
    var receiver: (any BodyReceiver)?
    /// Longest collected body; a longer one fails the request. Bytes.
    var bodyLimit = usualBodyLimit
    /// Given up after this long without a byte in either direction.
    var stallTimeout: Duration
    /// Until name, TCP and TLS are settled; nil for the transport's.
    var connectTimeout: Duration?
    /// For all of it; nil for as long as bytes move.
    var totalTimeout: Duration?
    /// Never through a proxy, whatever the environment says.
    var isDirect = false

    /// Whether it moves the content of objects, as against asking about them.
    var isBulk: Bool {
        if case .source = body { return true }
        return receiver != nil
    }

    /// Whether no header could end early and become another.
    var isWellFormed: Bool {
        headers.allSatisfy { header in
            (header.name + header.value).utf8.allSatisfy { $0 != 10 && $0 != 13 && $0 != 0 }
        }
    }
}
