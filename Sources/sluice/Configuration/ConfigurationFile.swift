import Platform
import TOMLKit

import struct SystemPackage.Errno
import struct SystemPackage.FileDescriptor
import struct SystemPackage.FilePath

/// A TOML file of flat keys, each value as the text that ``Settings`` takes.
struct ConfigurationFile {
    let path: String
    private let text: String
    private let table: TOMLTable

    private static let sizeLimit = 1 << 20

    init(path: String) throws(CommandFailure) {
        self.path = path
        text = try Self.read(path)
        if let line = Self.namelessTable(in: text) {
            throw .usage("\(path), line \(line): a table without a name; write key = \"value\", one key a line")
        }
        do {
            table = try TOMLTable(string: text)
        } catch let error as TOMLParseError {
            throw .usage("\(path), line \(error.source.begin.line): \(error.description)")
        } catch {
            throw .usage("\(path): \(error)")
        }
    }

    func apply(to settings: inout Settings) throws(CommandFailure) {
        for key in table.keys {
            do {
                guard let value = scalar(table[key]) else {
                    throw SettingError("the value must be a text, a whole number, true or false")
                }
                try settings.set(key, to: value)
            } catch {
                throw .usage("\(place(of: key)): \(key): \(error)")
            }
        }
    }

    private static func read(_ path: String) throws(CommandFailure) -> String {
        let bytes: [UInt8]
        do {
            let file = try FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec)
            bytes = try file.closeAfter { try read(file) }
        } catch {
            throw .usage("cannot read the configuration file \"\(path)\": \(error)")
        }
        guard bytes.count <= sizeLimit, let text = String(validating: bytes, as: UTF8.self) else {
            throw .usage("the configuration file \"\(path)\" is no text: name a TOML file")
        }
        return text
    }

    private static func read(_ file: FileDescriptor) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count <= sizeLimit {
            let chunk = try [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
                count = try file.read(into: UnsafeMutableRawBufferPointer(buffer))
            }
            if chunk.isEmpty { break }
            bytes += chunk
        }
        return bytes
    }

    /// The first line that begins a table whose name does not begin, counted from 1: the parser does not survive it.
    private static func namelessTable(in text: String) -> Int? {
        text.unicodeScalars.split(omittingEmptySubsequences: false) { $0 == "\n" }
            .firstIndex(where: isNamelessTable).map { $0 + 1 }
    }

    /// By scalars, as a mark behind a bracket makes another character of it.
    private static func isNamelessTable(_ line: Substring.UnicodeScalarView) -> Bool {
        let isBlank = { (scalar: Unicode.Scalar) in scalar.properties.isWhitespace || scalar == "\u{FEFF}" }
        var rest = line.drop(while: isBlank)
        guard rest.popFirst() == "[" else { return false }
        rest = rest.drop(while: isBlank)
        if rest.first == "[" { rest = rest.dropFirst().drop(while: isBlank) }
        return rest.first.map {
            !($0.isASCII && ($0.properties.isAlphabetic || "0123456789_-\"'".unicodeScalars.contains($0)))
        } ?? true
    }

    private func scalar(_ value: (any TOMLValueConvertible)?) -> String? {
        if let text = value?.string { return text }
        if let flag = value?.bool { return String(flag) }
        if let number = value?.int { return String(number) }
        return nil
    }

    /// The file, and the line if it is found.
    private func place(of key: String) -> String {
        let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }
        guard let index = lines.firstIndex(where: { Self.key(of: $0) == key }) else { return path }
        return "\(path), line \(index + 1)"
    }

    /// Keys are flat, so each begins its line. Of `[a]`, `[[a]]` and `a.b = 1`, which are refused, it is `a`.
    private static func key(of line: Substring) -> String {
        let start = line.drop { $0.isWhitespace || $0 == "[" }
        if let quote = start.first, quote == "\"" || quote == "'" {
            return String(start.dropFirst().prefix { $0 != quote })
        }
        return String(start.prefix { !$0.isWhitespace && !"=.]#".contains($0) })
    }
}
