import GRDB
import GRDBSQLite

/// A prepared statement, bound and stepped through SQLite's own interface: GRDB's way of passing arguments and rows takes
/// several times as long as SQLite itself, and every request of a program runs some.
///
/// GRDB prepares, keeps and finalizes it. Used only inside of a transaction.
struct JournalStatement {
    typealias Arguments = [(any DatabaseValueConvertible)?]

    private let statement: Statement
    private var handle: OpaquePointer { statement.sqliteStatement }

    init(_ sql: String, in database: Database) throws {
        statement = try database.cachedStatement(sql: sql)
    }

    /// What `body` makes of the first row; nil if there is none.
    func first<Value>(_ arguments: Arguments, _ body: (JournalRow) throws -> Value) throws -> Value? {
        try using(arguments) { try step() ? body(JournalRow(statement: handle)) : nil }
    }

    /// `body` must not run the same statement.
    func each(_ arguments: Arguments, _ body: (JournalRow) throws -> Void) throws {
        try using(arguments) {
            while try step() { try body(JournalRow(statement: handle)) }
        }
    }

    private func using<Value>(_ arguments: Arguments, _ body: () throws -> Value) throws -> Value {
        defer {
            sqlite3_reset(handle)
            sqlite3_clear_bindings(handle)
        }
        for (index, argument) in arguments.enumerated() { try bind(argument, Int32(index + 1)) }
        return try body()
    }

    private func step() throws -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code: throw failure(code)
        }
    }

    private func bind(_ argument: (any DatabaseValueConvertible)?, _ index: Int32) throws {
        let code =
            switch argument?.databaseValue.storage ?? .null {
            case .null: sqlite3_bind_null(handle, index)
            case .int64(let value): sqlite3_bind_int64(handle, index, value)
            case .double(let value): sqlite3_bind_double(handle, index, value)
            case .string(let value): bind(value, index)
            // A null pointer would make it NULL.
            case .blob(let value) where value.isEmpty: sqlite3_bind_zeroblob(handle, index, 0)
            case .blob(let value):
                value.withUnsafeBytes {
                    sqlite3_bind_blob(handle, index, $0.baseAddress, Int32($0.count), Self.copied)
                }
            }
        guard code == SQLITE_OK else { throw failure(code) }
    }

    private func bind(_ value: String, _ index: Int32) -> Int32 {
        guard !value.isEmpty else { return sqlite3_bind_text(handle, index, "", 0, Self.copied) }
        var value = value
        return value.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                sqlite3_bind_text(handle, index, $0.baseAddress, Int32($0.count), Self.copied)
            }
        }
    }

    private func failure(_ code: Int32) -> DatabaseError {
        DatabaseError(
            resultCode: ResultCode(rawValue: code), message: String(cString: sqlite3_errmsg(sqlite3_db_handle(handle))),
            sql: statement.sql)
    }

    /// SQLITE_TRANSIENT, a macro with a cast: SQLite copies what is bound.
    private static var copied: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }
}

/// The current row of a ``JournalStatement``: valid until the next step.
///
/// Columns are read as values: SQLite's own calls for columns cost as much again for each thing that is asked. Values may
/// be read so as long as no other thread uses the connection, which holds inside of a transaction.
struct JournalRow {
    fileprivate let statement: OpaquePointer

    subscript(index: Int) -> Int64 { sqlite3_value_int64(value(index)) }

    subscript(index: Int) -> Int { Int(sqlite3_value_int64(value(index))) }

    subscript(index: Int) -> Bool { sqlite3_value_int64(value(index)) != 0 }

    subscript(index: Int) -> String { self[index] ?? "" }

    subscript(index: Int) -> Int64? {
        let value = value(index)
        return Self.isNull(value) ? nil : sqlite3_value_int64(value)
    }

    subscript(index: Int) -> String? {
        let value = value(index)
        return Self.isNull(value) ? nil : Self.text(value)
    }

    /// A blob.
    subscript(index: Int) -> [UInt8] {
        let value = value(index)
        let blob = sqlite3_value_blob(value)
        return Array(UnsafeRawBufferPointer(start: blob, count: Int(sqlite3_value_bytes(value))))
    }

    /// Nil for what is no integer: SQLite keeps anything in a column of integers.
    func integer(_ index: Int) -> Int64? {
        let value = value(index)
        return sqlite3_value_type(value) == SQLITE_INTEGER ? sqlite3_value_int64(value) : nil
    }

    /// What is no text is `otherwise`; nil for NULL.
    func text<Failure>(_ index: Int, otherwise: () -> Failure) throws(Failure) -> String? {
        let value = value(index)
        switch sqlite3_value_type(value) {
        case SQLITE_NULL: return nil
        case SQLITE_TEXT: return Self.text(value)
        default: throw otherwise()
        }
    }

    /// Whether the column holds text or nothing.
    func isTextOrNull(_ index: Int) -> Bool {
        let type = sqlite3_value_type(value(index))
        return type == SQLITE_TEXT || type == SQLITE_NULL
    }

    private func value(_ index: Int) -> OpaquePointer? { sqlite3_column_value(statement, Int32(index)) }

    private static func isNull(_ value: OpaquePointer?) -> Bool { sqlite3_value_type(value) == SQLITE_NULL }

    private static func text(_ value: OpaquePointer?) -> String? {
        guard let text = sqlite3_value_text(value) else { return nil }
        let bytes = UnsafeBufferPointer(start: text, count: Int(sqlite3_value_bytes(value)))
        return String(decoding: bytes, as: UTF8.self)
    }
}
