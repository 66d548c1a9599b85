/// The directories of a mount: where it is, where its state is, and where the bucket is, if that is a directory.
///
/// All are absolute, without symbolic links.
struct Places {
    let mountPoint: String
    let stateDirectory: String
    /// Nil for a bucket that is reached over the network.
    let bucket: String?

    /// Throws what would make one of them serve, hide or swallow another.
    func check() throws(CommandFailure) {
        if Self.contains(mountPoint, stateDirectory) {
            throw CommandFailure(
                "the state directory \(stateDirectory) lies in the mount point \(mountPoint), which would hide it: "
                    + "name another --state-dir")
        }
        guard let bucket else { return }
        if Self.contains(bucket, mountPoint) {
            throw CommandFailure(
                "the mount point \(mountPoint) lies in the directory \(bucket) that is to be mounted: "
                    + "name a mount point outside of it")
        }
        if Self.contains(bucket, stateDirectory) {
            throw CommandFailure(
                "the state directory \(stateDirectory) lies in the directory \(bucket) that is to be mounted, where "
                    + "its files would be taken for objects: name another --state-dir")
        }
        if Self.contains(stateDirectory, bucket) {
            throw CommandFailure(
                "the directory \(bucket) that is to be mounted lies in the state directory \(stateDirectory): "
                    + "name another --state-dir")
        }
    }

    private static func contains(_ directory: String, _ path: String) -> Bool {
        path == directory || path.hasPrefix(directory == "/" ? "/" : directory + "/")
    }
}
