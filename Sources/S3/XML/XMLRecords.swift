import ObjectStore

/// The shape of every small answer of S3: fields under the root, and records (`Part`, `Error`) that have fields too.
struct XMLRecords: Equatable, Sendable {
    var root = ""
    var fields: [String: String] = [:]
    /// The fields of each record, by the record's name.
    var records: [String: [[String: String]]] = [:]

    init(root: String = "", fields: [String: String] = [:]) {
        self.root = root
        self.fields = fields
    }

    /// Throws `.badAnswer`.
    init(parsing bytes: [UInt8]) throws(StoreError) {
        let collector = Collector()
        try XMLReader.read(bytes, into: collector)
        self = collector.result
    }

    /// A field that must be there. Throws `.badAnswer`.
    func required(_ name: String) throws(StoreError) -> String {
        guard let value = fields[name], !value.isEmpty else {
            throw StoreError(.badAnswer, message: "the answer \(root) has no \(name)")
        }
        return value
    }

    private final class Collector: XMLHandler {
        private(set) var result = XMLRecords()
        private var record: [String: String] = [:]

        func start(_ name: XMLName, depth: Int) {
            if depth == 1 { result.root = name.string }
            if depth == 2 { record = [:] }
        }

        func end(_ name: XMLName, depth: Int, text: UnsafeRawBufferPointer) {
            if depth == 3 { record[name.string] = String(decoding: text, as: UTF8.self) }
            guard depth == 2 else { return }
            if record.isEmpty {
                result.fields[name.string] = String(decoding: text, as: UTF8.self)
            } else {
                result.records[name.string, default: []].append(record)
            }
        }
    }
}
