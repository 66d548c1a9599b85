import CFuse

/// The functions that libfuse calls, each handing its request to the session's method of that name.
///
/// Left out, so that the kernel falls back or refuses by itself: locks (kept in the kernel), access (checked by the
/// kernel), ioctl, poll, bmap; and flush, because close(2) has nothing to wait for: every byte is in the local file
/// already.
enum OperationTable {
    static func make() -> fuse_lowlevel_ops {
        var table = fuse_lowlevel_ops()
        addConnection(to: &table)
        addNames(to: &table)
        addAttributes(to: &table)
        addData(to: &table)
        addDirectories(to: &table)
        addExtendedAttributes(to: &table)
        return table
    }

    private static func addConnection(to table: inout fuse_lowlevel_ops) {
        table.`init` = { _, connection in
            if let connection { Negotiation.negotiate(&connection.pointee) }
        }
    }

    private static func addNames(to table: inout fuse_lowlevel_ops) {
        table.lookup = { request, parent, name in
            handle(request) { $0.lookup($1, parent: parent, name: name) }
        }
        table.forget = { request, inode, count in
            handle(request) { $0.forget($1, inode: inode, count: count) }
        }
        table.forget_multi = { request, count, list in
            handle(request) { $0.forget($1, UnsafeBufferPointer(start: list, count: count)) }
        }
        table.readlink = { request, inode in
            handle(request) { $0.readSymbolicLink($1, inode: inode) }
        }
        table.symlink = { request, target, parent, name in
            handle(request) { $0.makeSymbolicLink($1, parent: parent, name: name, target: target) }
        }
        table.link = { request, inode, parent, name in
            handle(request) { $0.makeHardLink($1, to: inode, parent: parent, name: name) }
        }
        table.mknod = { request, parent, name, mode, device in
            handle(request) { $0.makeNode($1, parent: parent, name: name, mode: mode, device: device) }
        }
        table.mkdir = { request, parent, name, mode in
            handle(request) { $0.makeDirectory($1, parent: parent, name: name, mode: mode) }
        }
        table.unlink = { request, parent, name in
            handle(request) { $0.unlink($1, parent: parent, name: name) }
        }
        table.rmdir = { request, parent, name in
            handle(request) { $0.removeDirectory($1, parent: parent, name: name) }
        }
        table.rename = { request, parent, name, newParent, newName, flags in
            handle(request) {
                $0.rename($1, parent: parent, name: name, newParent: newParent, newName: newName, flags: flags)
            }
        }
    }

    private static func addAttributes(to table: inout fuse_lowlevel_ops) {
        table.getattr = { request, inode, _ in
            handle(request) { $0.attributes($1, inode: inode) }
        }
        table.setattr = { request, inode, status, valid, _ in
            handle(request) { $0.setAttributes($1, inode: inode, status: status, valid: valid) }
        }
        table.statfs = { request, _ in
            handle(request) { $0.statistics($1) }
        }
    }

    private static func addData(to table: inout fuse_lowlevel_ops) {
        table.create = { request, parent, name, mode, information in
            handle(request) { $0.create($1, parent: parent, name: name, mode: mode, information) }
        }
        table.open = { request, inode, information in
            handle(request) { $0.open($1, inode: inode, information) }
        }
        table.read = { request, _, size, offset, information in
            handle(request) { $0.read($1, size: size, offset: offset, information) }
        }
        table.write_buf = { request, _, buffer, offset, information in
            handle(request) { $0.write($1, buffer: buffer, offset: offset, information) }
        }
        table.fallocate = { request, _, flags, offset, length, information in
            handle(request) { $0.allocate($1, flags: flags, offset: offset, length: length, information) }
        }
        table.lseek = { request, _, offset, whence, information in
            handle(request) { $0.seek($1, offset: offset, whence: whence, information) }
        }
        table.copy_file_range = { request, _, sourceOffset, source, _, targetOffset, target, count, flags in
            handle(request) {
                $0.copy(
                    $1, from: source, at: sourceOffset, to: target, at: targetOffset, count: count, flags: flags)
            }
        }
        table.fsync = { request, _, dataOnly, information in
            handle(request) { $0.synchronize($1, dataOnly: dataOnly != 0, information) }
        }
        table.release = { request, _, information in
            handle(request) { $0.release($1, information) }
        }
    }

    private static func addDirectories(to table: inout fuse_lowlevel_ops) {
        table.opendir = { request, inode, information in
            handle(request) { $0.openDirectory($1, inode: inode, information) }
        }
        table.readdir = { request, _, size, offset, information in
            handle(request) { $0.readDirectory($1, size: size, offset: offset, information, withAttributes: false) }
        }
        table.readdirplus = { request, _, size, offset, information in
            handle(request) { $0.readDirectory($1, size: size, offset: offset, information, withAttributes: true) }
        }
        table.fsyncdir = { request, _, _, information in
            handle(request) { $0.synchronizeDirectory($1, information) }
        }
        table.releasedir = { request, _, information in
            handle(request) { $0.releaseDirectory($1, information) }
        }
    }

    private static func addExtendedAttributes(to table: inout fuse_lowlevel_ops) {
        table.getxattr = { request, inode, name, size in
            handle(request) { $0.extendedAttribute($1, inode: inode, name: name, capacity: size) }
        }
        table.setxattr = { request, inode, name, value, size, flags in
            let value = UnsafeRawBufferPointer(start: value, count: size)
            handle(request) { $0.setExtendedAttribute($1, inode: inode, name: name, value: value, flags: flags) }
        }
        table.listxattr = { request, inode, size in
            handle(request) { $0.extendedAttributeNames($1, inode: inode, capacity: size) }
        }
        table.removexattr = { request, inode, name in
            handle(request) { $0.removeExtendedAttribute($1, inode: inode, name: name) }
        }
    }
}

/// Calls a method of the session that a request belongs to. The session outlives its requests.
private func handle(_ raw: fuse_req_t?, _ body: (FuseSession, KernelRequest) -> Void) {
    guard let raw, let session = fuse_req_userdata(raw) else { return }
    Unmanaged<FuseSession>.fromOpaque(session)._withUnsafeGuaranteedRef { body($0, KernelRequest(raw)) }
}
