import CExpat
import Glibc
import ObjectStore

/// Called for every element of a document. The root has depth 1.
protocol XMLHandler: AnyObject {
    func start(_ name: XMLName, depth: Int) throws(StoreError)
    /// `text` is what stood between the last tag and this one.
    func end(_ name: XMLName, depth: Int, text: UnsafeRawBufferPointer) throws(StoreError)
}

/// An element's name while the parser points at it.
struct XMLName {
    fileprivate let pointer: UnsafePointer<CChar>

    var string: String { String(cString: pointer) }

    static func == (name: XMLName, text: StaticString) -> Bool {
        strcmp(name.pointer, UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)) == 0
    }
}

/// Reads the XML of S3's answers with expat. Hostile documents are refused: no document type, hence no entities but the
/// predefined; depth and length of fields are bounded.
enum XMLReader {
    /// S3's deepest answer has four levels.
    static let maximumDepth = 16
    /// A key of 1,024 bytes takes 3 KiB when percent-encoded. Bytes.
    static let maximumFieldSize = 64 << 10

    /// Throws `.badAnswer`, and what the handler throws.
    static func read(_ bytes: [UInt8], into handler: any XMLHandler) throws(StoreError) {
        guard let parser = XML_ParserCreate(nil) else {
            throw StoreError(.localFault, message: "expat is out of memory")
        }
        defer { XML_ParserFree(parser) }
        let context = XMLContext(parser, handler)
        let status = withExtendedLifetime(context) {
            context.install()
            // White space that kept the connection alive may stand before the declaration, where XML forbids it.
            let document = bytes.drop { $0 == 0x20 || (0x09...0x0d).contains($0) }
            return document.withUnsafeBytes { buffer in
                XML_Parse(
                    parser,
                    buffer.baseAddress?.assumingMemoryBound(to: CChar.self),
                    Int32(clamping: buffer.count),
                    1
                )
            }
        }
        if let failure = context.failure { throw failure }
        guard status == XML_STATUS_OK else {
            let reason = String(cString: XML_ErrorString(XML_GetErrorCode(parser)))
            throw StoreError(.badAnswer, message: "the answer is not readable XML: \(reason)")
        }
    }
}

/// What expat's callbacks work on, for the time of one call.
private final class XMLContext {
    let parser: XML_Parser
    let handler: any XMLHandler
    private(set) var failure: StoreError?
    private var depth = 0
    private var text: [UInt8] = []

    init(_ parser: XML_Parser, _ handler: any XMLHandler) {
        self.parser = parser
        self.handler = handler
    }

    func install() {
        XML_SetUserData(parser, Unmanaged.passUnretained(self).toOpaque())
        XML_SetElementHandler(
            parser,
            { context, name, _ in XMLContext.of(context)?.start(name) },
            { context, name in XMLContext.of(context)?.end(name) }
        )
        XML_SetCharacterDataHandler(parser) { context, bytes, count in
            XMLContext.of(context)?.append(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
        }
        XML_SetStartDoctypeDeclHandler(parser) { context, _, _, _, _ in
            XMLContext.of(context)?.fail("the answer declares a document type")
        }
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> XMLContext? {
        context.map { Unmanaged<XMLContext>.fromOpaque($0).takeUnretainedValue() }
    }

    private func start(_ name: UnsafePointer<CChar>?) {
        guard failure == nil, let name else { return }
        depth += 1
        if !text.isEmpty { text.removeAll(keepingCapacity: true) }
        guard depth <= XMLReader.maximumDepth else { return fail("the answer's XML is too deep") }
        attempt { () throws(StoreError) in try handler.start(XMLName(pointer: name), depth: depth) }
    }

    private func end(_ name: UnsafePointer<CChar>?) {
        guard failure == nil, let name else { return }
        text.withUnsafeBytes { bytes in
            attempt { () throws(StoreError) in
                try handler.end(XMLName(pointer: name), depth: depth, text: bytes)
            }
        }
        if !text.isEmpty { text.removeAll(keepingCapacity: true) }
        depth -= 1
    }

    private func append(_ bytes: UnsafeRawBufferPointer) {
        guard failure == nil else { return }
        guard text.count + bytes.count <= XMLReader.maximumFieldSize else {
            return fail("a field of the answer is over 64 KiB")
        }
        text.append(contentsOf: bytes)
    }

    private func attempt(_ action: () throws(StoreError) -> Void) {
        do { try action() } catch { stop(error) }
    }

    private func fail(_ message: String) { stop(StoreError(.badAnswer, message: message)) }

    private func stop(_ error: StoreError) {
        failure = error
        XML_StopParser(parser, XML_Bool(0))
    }
}
