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
struct JournalRow {
    fileprivate let statement: OpaquePointer

    subscript(index: Int) -> Int64 { sqlite3_column_int64(statement, Int32(index)) }

    subscript(index: Int) -> Int { Int(sqlite3_column_int64(statement, Int32(index))) }

    subscript(index: Int) -> Bool { sqlite3_column_int64(statement, Int32(index)) != 0 }

    subscript(index: Int) -> String { self[index] ?? "" }

    subscript(index: Int) -> Int64? { isNull(index) ? nil : sqlite3_column_int64(statement, Int32(index)) }

    subscript(index: Int) -> String? {
        guard let text = sqlite3_column_text(statement, Int32(index)) else { return nil }
        let count = Int(sqlite3_column_bytes(statement, Int32(index)))
        return String(decoding: UnsafeBufferPointer(start: text, count: count), as: UTF8.self)
    }

    /// A blob.
    subscript(index: Int) -> [UInt8] {
        let count = Int(sqlite3_column_bytes(statement, Int32(index)))
        return Array(UnsafeRawBufferPointer(start: sqlite3_column_blob(statement, Int32(index)), count: count))
    }

    /// Nil for what is no integer: SQLite keeps anything in a column of integers.
    func integer(_ index: Int) -> Int64? {
        sqlite3_column_type(statement, Int32(index)) == SQLITE_INTEGER ? self[index] : nil
    }

    /// Whether the column holds text or nothing.
    func isTextOrNull(_ index: Int) -> Bool {
        let type = sqlite3_column_type(statement, Int32(index))
        return type == SQLITE_TEXT || type == SQLITE_NULL
    }

    private func isNull(_ index: Int) -> Bool { sqlite3_column_type(statement, Int32(index)) == SQLITE_NULL }
}
