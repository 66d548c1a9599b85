/// An answer: status, headers, and the body unless a ``BodyReceiver`` took it.
struct HTTPResponse: Equatable, Sendable {
    var status: Int
    var headers = HTTPHeaders()
    var body: [UInt8] = []

    var isSuccess: Bool { (200...299).contains(status) }
}
