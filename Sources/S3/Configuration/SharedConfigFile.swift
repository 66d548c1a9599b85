import SystemPackage

/// The INI dialect of `~/.aws/config` and `~/.aws/credentials` ("Configuration and credential file settings", AWS CLI
/// user guide): sections, `key = value`, indented sub-settings, comments.
struct SharedConfigFile: Equatable, Sendable {
    /// Longest file that is read, bytes.
    static let maximumSize = 1 << 20

    private var sections: [String: [String: String]] = [:]

    /// A file that does not exist is an empty one.
    init(contentsOf path: String) throws(S3ConfigurationError) {
        do {
            self.init(try Self.read(path))
        } catch Errno.noSuchFileOrDirectory, Errno.notDirectory {
            self.init("")
        } catch let error as S3ConfigurationError {
            throw error
        } catch {
            throw S3ConfigurationError("\(path) cannot be read: \(error)")
        }
    }

    init(_ text: String) {
        var name: String?
        var parent: String?
        for line in text.split(whereSeparator: \.isNewline) {
            let content = line.trimmed
            guard let first = content.first, first != "#", first != ";" else { continue }
            if first == "[" {
                name = Self.sectionName(content)
                parent = nil
                if let name { sections[name, default: [:]].merge([:]) { old, _ in old } }
            } else if let name, let (key, value) = Self.setting(content) {
                let isNested = line.first?.isWhitespace == true
                if !isNested { parent = value.isEmpty ? key : nil }
                let path = isNested ? parent.map { "\($0).\(key)" } : key
                if let path { sections[name, default: [:]][path] = value }
            }
        }
    }

    /// The settings of `[NAME]`; a nested setting has the key `parent.key`.
    func section(_ name: String) -> [String: String]? { sections[name] }

    /// The settings of a profile in the config file: `[profile NAME]`, or `[default]`.
    func profile(_ name: String) -> [String: String]? {
        sections["profile \(name)"] ?? (name == "default" ? sections["default"] : nil)
    }

    /// `[services NAME]`.
    func services(_ name: String) -> [String: String]? { sections["services \(name)"] }

    /// `[sso-session NAME]`.
    func session(_ name: String) -> [String: String]? { sections["sso-session \(name)"] }

    private static func sectionName(_ line: Substring) -> String? {
        guard let end = line.firstIndex(of: "]") else { return nil }
        let words = line[line.index(after: line.startIndex)..<end].split(whereSeparator: \.isWhitespace)
        return words.isEmpty ? nil : words.joined(separator: " ")
    }

    private static func setting(_ line: Substring) -> (key: String, value: String)? {
        guard let equals = line.firstIndex(of: "=") else { return nil }
        let key = line[..<equals].trimmed.lowercased()
        let value = line[line.index(after: equals)...].trimmed
        return key.isEmpty ? nil : (key, String(value))
    }

    private static func read(_ path: String) throws -> String {
        let file = try FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec)
        return try file.closeAfter {
            var bytes = [UInt8](repeating: 0, count: maximumSize + 1)
            var count = 0
            while count < bytes.count {
                let got = try bytes.withUnsafeMutableBytes { buffer in
                    try file.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[count...]))
                }
                if got == 0 { break }
                count += got
            }
            guard count <= maximumSize else { throw S3ConfigurationError("\(path) is over 1 MiB") }
            return String(decoding: bytes[..<count], as: UTF8.self)
        }
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        guard let start = firstIndex(where: { !$0.isWhitespace }),
            let end = lastIndex(where: { !$0.isWhitespace })
        else { return "" }
        return self[start...end]
    }
}
