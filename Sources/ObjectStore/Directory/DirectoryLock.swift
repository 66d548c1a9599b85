import CLinux

/// One change of names at a time in a store's directory, among all threads and processes that use it (flock(2) on a
/// file opened anew each time).
struct DirectoryLock: Sendable {
    let tree: FileTree

    func locked<Value>(_ body: () throws(StoreError) -> Value) throws(StoreError) -> Value {
        let file = try performing { () throws(SystemFault) in try acquire() }
        defer { _ = flock(file.raw, LOCK_UN) }
        return try body()
    }

    private func acquire() throws(SystemFault) -> Descriptor {
        let area = try tree.makeDirectory([DirectoryLayout.reserved])
        let file = Descriptor(
            owning: try SystemFault.check("open the lock") {
                sluice_openat(area.raw, "lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0o666)
            })
        try SystemFault.check("flock") { flock(file.raw, LOCK_EX) }
        return file
    }
}
