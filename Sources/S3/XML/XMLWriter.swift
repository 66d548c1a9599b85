import ObjectStore

/// Writes the XML bodies of requests.
enum XMLWriter {
    private static let namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

    /// `checksum`: that of the upload.
    static func completeMultipartUpload(_ parts: [UploadedPart], checksum: Checksum.Algorithm?) -> [UInt8] {
        let content = parts.map { part in
            var fields = "<PartNumber>\(part.number)</PartNumber><ETag>\(escaped(part.etag.quoted))</ETag>"
            if let checksum, let value = part.checksum {
                fields += "<\(checksum.element)>\(escaped(value))</\(checksum.element)>"
            }
            return "<Part>\(fields)</Part>"
        }
        return document("CompleteMultipartUpload", content.joined())
    }

    /// Only keys for which ``canExpress(_:)``. The answer will hold failures alone.
    static func delete(_ keys: [ObjectKey]) -> [UInt8] {
        let content = keys.map { "<Object><Key>\(escaped($0.string))</Key></Object>" }
        return document("Delete", content.joined() + "<Quiet>true</Quiet>")
    }

    /// Whether XML 1.0 has a way to write the text at all (production "Char").
    static func canExpress(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { scalar in
            switch scalar.value {
            case 0x09, 0x0A, 0x0D, 0x20...0xD7FF, 0xE000...0xFFFD, 0x10000...0x10FFFF: true
            default: false
            }
        }
    }

    private static func document(_ root: String, _ content: String) -> [UInt8] {
        Array("<\(root) xmlns=\"\(namespace)\">\(content)</\(root)>".utf8)
    }

    /// White space other than blanks would be normalised by the reader, so it is written as character references.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "\t", "\n", "\r": result += "&#\(scalar.value);"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
