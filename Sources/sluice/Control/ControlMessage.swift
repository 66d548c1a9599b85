import Foundation

/// What a command asks of the daemon: one line of JSON.
struct ControlRequest: Codable, Equatable, Sendable {
    enum Action: String, Codable, Sendable {
        case status
        /// Answers when everything at and below the path is in the bucket, with progress meanwhile.
        case drain
        case pause
        case resume
        /// The mount ends, also where another mount namespace keeps it; what is left is for the next mount.
        case end
        /// Answers never: the connection ends with the daemon.
        case attend
    }

    var action: Action
    /// Below the root of the mount, for `drain`.
    var path: String?
    /// Seconds, for `drain`; nil to wait for as long as it takes.
    var timeout: Double?
}

/// What the daemon answers: one line of JSON each; the last has no `progress`.
struct ControlAnswer: Codable, Equatable, Sendable {
    /// What is not in the bucket yet.
    struct Remainder: Codable, Equatable, Sendable {
        var files: Int
        var bytes: Int64
        var operations: Int

        var isNothing: Bool { files == 0 && operations == 0 }
    }

    var progress: Remainder?
    var status: StatusReport?
    /// The end of a `drain`: what was left when it ended.
    var remainder: Remainder?
    var error: String?
}

enum ControlCoding {
    /// A request or an answer is no longer than this, bytes.
    static let lineLimit = 16 << 20

    static func line(_ message: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return Array(try encoder.encode(message)) + [UInt8(ascii: "\n")]
    }

    static func message<Message: Decodable>(_ type: Message.Type, from line: [UInt8]) throws -> Message {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: Data(line))
    }
}
