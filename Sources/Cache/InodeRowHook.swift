import GRDB
import GRDBSQLite
import Glibc

extension InodeRows {
    /// Notes every change of the inode table, by whatever statement. The connection must be closed before this goes.
    func watch(_ database: Database) {
        // GRDB sets a hook of its own only for its transaction observers, of which the journal has none.
        sqlite3_update_hook(
            database.sqliteConnection,
            { context, _, _, table, row in
                guard let context, let table, strcmp(table, "inode") == 0 else { return }
                Unmanaged<InodeRows>.fromOpaque(context).takeUnretainedValue().hasChanged(InodeNumber(sql: row))
            }, Unmanaged.passUnretained(self).toOpaque())
    }
}
