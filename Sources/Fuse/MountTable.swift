import SystemPackage

/// The mounts that this process sees, from `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
public struct MountTable: Sendable {
    public struct Mount: Equatable, Sendable {
        /// As `mnt_id` in `/proc/PID/fdinfo`.
        public var id: Int
        /// `major:minor`, as in `/sys/class/bdi`.
        public var device: String
        public var mountPoint: String
        public var type: String
        public var source: String
    }

    /// In the order of mounting: the last one at a path is the one that is seen.
    public var mounts: [Mount]

    /// Lines that are not understood are left out.
    public init(parsing text: String) {
        mounts = text.split(separator: "\n").compactMap(Self.parse)
    }

    public static func current() throws(Errno) -> MountTable {
        MountTable(parsing: try readSmallFile("/proc/self/mountinfo"))
    }

    /// What is mounted exactly at an absolute path without symbolic links.
    public func mount(at path: String) -> Mount? {
        mounts.last { $0.mountPoint == path }
    }

    /// The mount that an absolute path without symbolic links lies in.
    public func mount(containing path: String) -> Mount? {
        let above = mounts.filter { path == $0.mountPoint || path.hasPrefix(Self.asPrefix($0.mountPoint)) }
        guard let longest = above.map(\.mountPoint.utf8.count).max() else { return nil }
        return above.last { $0.mountPoint.utf8.count == longest }
    }

    private static func asPrefix(_ directory: String) -> String {
        directory.hasSuffix("/") ? directory : directory + "/"
    }

    /// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
    private static func parse(_ line: Substring) -> Mount? {
        let fields = line.split(separator: " ")
        guard let separator = fields.firstIndex(of: "-"), separator >= 6, fields.count > separator + 2
        else { return nil }
        guard let id = Int(fields[0]) else { return nil }
        return Mount(
            id: id,
            device: String(fields[2]),
            mountPoint: unescape(fields[4]),
            type: unescape(fields[separator + 1]),
            source: unescape(fields[separator + 2])
        )
    }

    /// Space, tab, newline and backslash are written as three octal digits.
    static func unescape(_ field: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = field.utf8
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3).map { Int($0) - 48 }
            if byte == UInt8(ascii: "\\"), digits.count == 3, digits.allSatisfy({ (0...7).contains($0) }),
                let value = UInt8(exactly: digits[0] * 64 + digits[1] * 8 + digits[2])
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// A file of `/proc` or `/etc`, whole, at most 16 MiB.
func readSmallFile(_ path: FilePath) throws(Errno) -> String {
    do {
        let file = try FileDescriptor.open(path, .readOnly, options: .closeOnExec)
        return try file.closeAfter {
            var bytes: [UInt8] = []
            while bytes.count < 16 << 20 {
                let chunk = try [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
                    count = try file.read(into: UnsafeMutableRawBufferPointer(buffer))
                }
                if chunk.isEmpty { break }
                bytes += chunk
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    } catch let error as Errno {
        throw error
    } catch {
        throw .ioError
    }
}
