import CFuse

/// How the mount looks to the system: what mount(8) shows and who may enter.
public struct MountOptions: Equatable, Sendable {
    /// Shown as the device, for example `s3://bucket/prefix`.
    public var source: String
    /// Other users than the one who mounts may enter; their rights are checked as always.
    public var allowOther: Bool
    public var readOnly: Bool

    public init(source: String, allowOther: Bool = false, readOnly: Bool = false) {
        self.source = source
        self.allowOther = allowOther
        self.readOnly = readOnly
    }

    /// The largest read or write request, in bytes: 256 pages, the most that kernels before 6.12 take.
    static let maximumTransfer = 1 << 20

    /// Each for `-o`. The kernel checks access by the mode bits (default_permissions); devices and set-id programs
    /// of a bucket are never honoured.
    var arguments: [String] {
        var arguments = [
            "fsname=\(Self.escape(source))", "subtype=sluice", "default_permissions", "nosuid", "nodev",
            "max_read=\(Self.maximumTransfer)", readOnly ? "ro" : "rw",
        ]
        if allowOther { arguments.append("allow_other") }
        return arguments
    }

    /// libfuse parts options at commas.
    private static func escape(_ value: String) -> String {
        var escaped = ""
        for character in value {
            if character == "," || character == "\\" { escaped.append("\\") }
            escaped.append(character)
        }
        return escaped
    }

    /// Calls `body` with the arguments as libfuse takes them.
    func withArguments<Result>(_ body: (UnsafeMutablePointer<fuse_args>) -> Result) -> Result {
        var list = fuse_args(argc: 0, argv: nil, allocated: 0)
        defer { fuse_opt_free_args(&list) }
        fuse_opt_add_arg(&list, "sluice")
        for argument in arguments {
            fuse_opt_add_arg(&list, "-o")
            fuse_opt_add_arg(&list, argument)
        }
        return body(&list)
    }
}
