import Transfer

/// Everything that can be configured, by the keys of the configuration file and of `-o`. One value type; each default
/// has its reason beside it.
struct Settings: Equatable, Sendable {
    /// A file that is closed and opened again at once goes to the bucket once.
    var uploadDelay: Duration = .seconds(1)
    /// Long against the pauses of a recorder; a log that is held open for days arrives all the same.
    var idleUpload: Duration = .seconds(30)
    /// A person who looks twice sees what others did; a listing each five seconds at most.
    var metadataTTL: Duration = .seconds(5)
    /// What a power cut may take of what was not fsynced: recorders never call fsync.
    var flushInterval: Duration = .seconds(2)
    /// Bytes of all data files. Nil: the disk, less the reserve, as unsent data may need all of it.
    var cacheLimit: Int64?
    /// Bytes of the disk left to others. Nil: 2 GiB, on small disks a tenth.
    var cacheReserve: Int64?
    /// How long writers wait for space while nothing is uploaded. Some recorders ignore a failed write; a link that is
    /// gone for a bridge or a tunnel is back by then.
    var fullWait: Duration = .seconds(300)
    /// Enough to fill a link with small files, few enough for a slow one.
    var uploadConcurrency = 4
    /// 16 requests of 8 MiB fill 10 Gb/s at 100 ms.
    var downloadConcurrency = 16
    /// Permissions, owners, times and links survive, here and for the tools that read the same names.
    var metadata = MetadataPolicy.full
    /// Exact where objects carry attributes; no request for each file where they carry none.
    var attributes = AttributeSource.auto
    /// How long a program waits for a network that gives no sign of life.
    var networkTimeout: Duration = .seconds(10)
    /// What was written just now is sent; well below the 90 s that systemd gives a service to end.
    var stopTimeout: Duration = .seconds(10)
    /// A mistyped bucket is told at once, unless the machine must work before it has ever had a network.
    var mountsOffline = false

    /// Local speed where kernel and rights allow it.
    var usesPassthrough = true

    var endpointURL: String?
    var region: String?
    var profile: String?
    var addressing: Addressing?
    /// A PEM file of the only certificates to trust. Nil: AWS_CA_BUNDLE, the profile's, the system's.
    var caBundle: String?
    var stateDirectory: String?
    var isReadOnly = false
    var allowsOthers = false
    var userID: UInt32?
    var groupID: UInt32?
    var umask: UInt16?

    enum Addressing: Equatable, Sendable {
        case path
        case virtualHost
    }
}

// MARK: Keys

extension Settings {
    /// Two ranges of a fetch, so that reading gets on.
    private static let smallestCacheLimit: Int64 = 16 << 20

    /// Takes a value under its key. Throws a sentence that says what is wrong with it.
    mutating func set(_ key: String, to value: String) throws(SettingError) {
        switch key {
        case "upload_delay": uploadDelay = try Self.duration(value, 0...86400)
        case "idle_upload": idleUpload = try Self.duration(value, 1...86400)
        case "metadata_ttl": metadataTTL = try Self.duration(value, 0...86400)
        case "flush_interval": flushInterval = try Self.duration(value, 0.05...3600)
        case "network_timeout": networkTimeout = try Self.duration(value, 1...3600)
        case "stop_timeout": stopTimeout = try Self.duration(value, 0...3600)
        case "mount_offline": mountsOffline = try Self.flag(value)
        case "passthrough": usesPassthrough = try Self.flag(value)
        case "metadata": metadata = try Self.policy(value)
        case "attributes": attributes = try Self.source(value)
        case "cache_limit": cacheLimit = try Self.limit(value)
        case "full_wait": fullWait = try Self.duration(value, 0...86400)
        case "cache_reserve": cacheReserve = try Self.size(value)
        case "upload_concurrency": uploadConcurrency = try Self.number(value, 1...64)
        case "download_concurrency": downloadConcurrency = try Self.number(value, 1...256)
        case "endpoint_url": endpointURL = try Self.text(value)
        case "region": region = try Self.text(value)
        case "profile": profile = try Self.text(value)
        case "ca_bundle": caBundle = try Self.text(value)
        case "path_style": choose(.path, try Self.flag(value))
        case "virtual_host": choose(.virtualHost, try Self.flag(value))
        case "state_dir": stateDirectory = try Self.text(value)
        case "read_only", "ro": isReadOnly = try Self.flag(value)
        case "rw": isReadOnly = try !Self.flag(value)
        case "allow_other": allowsOthers = try Self.flag(value)
        case "uid": userID = try Self.identity(value)
        case "gid": groupID = try Self.identity(value)
        case "umask": umask = try Self.mask(value)
        default: throw SettingError("unknown key \"\(key)\"")
        }
    }

    /// A later "false" takes back an earlier "true" of the same key, and leaves the other key alone.
    private mutating func choose(_ addressing: Addressing, _ isChosen: Bool) {
        if isChosen { self.addressing = addressing } else if self.addressing == addressing { self.addressing = nil }
    }

    private static func duration(_ value: String, _ range: ClosedRange<Double>) throws(SettingError) -> Duration {
        guard let duration = Units.duration(value) else {
            throw SettingError("\"\(value)\" is no duration; write a number and its unit, such as 500ms, 2s, 5m, 1h")
        }
        guard range.contains(duration / .seconds(1)) else {
            throw SettingError("\"\(value)\" is out of range: \(range.lowerBound) to \(range.upperBound) seconds")
        }
        return duration
    }

    private static func size(_ value: String) throws(SettingError) -> Int64 {
        guard let size = Units.size(value) else {
            throw SettingError("\"\(value)\" is no size; write a number and its unit, such as 512MiB, 50GiB, 10GB")
        }
        return size
    }

    private static func limit(_ value: String) throws(SettingError) -> Int64 {
        let size = try size(value)
        guard size >= smallestCacheLimit else {
            throw SettingError(
                "\"\(value)\" is too small to work with: give \(Units.text(bytes: smallestCacheLimit)) or more")
        }
        return size
    }

    private static func number(_ value: String, _ range: ClosedRange<Int>) throws(SettingError) -> Int {
        guard let number = Int(value), range.contains(number) else {
            throw SettingError("\"\(value)\" is no whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    private static func policy(_ value: String) throws(SettingError) -> MetadataPolicy {
        guard let policy = MetadataPolicy(rawValue: value) else {
            throw SettingError("\"\(value)\" is none of full, mtime and none")
        }
        return policy
    }

    private static func source(_ value: String) throws(SettingError) -> AttributeSource {
        guard let source = AttributeSource(rawValue: value) else {
            throw SettingError("\"\(value)\" is none of auto, exact and listed")
        }
        return source
    }

    private static func text(_ value: String) throws(SettingError) -> String {
        guard !value.isEmpty else { throw SettingError("the value is empty") }
        return value
    }

    private static func flag(_ value: String) throws(SettingError) -> Bool {
        switch value {
        case "", "true", "yes", "1": return true
        case "false", "no", "0": return false
        default: throw SettingError("\"\(value)\" is neither true nor false")
        }
    }

    private static func identity(_ value: String) throws(SettingError) -> UInt32 {
        guard let number = UInt32(value), number != .max else {
            throw SettingError("\"\(value)\" is no numeric user or group id")
        }
        return number
    }

    private static func mask(_ value: String) throws(SettingError) -> UInt16 {
        guard let mask = UInt16(value, radix: 8), mask <= 0o777 else {
            throw SettingError("\"\(value)\" is no octal mask such as 022")
        }
        return mask
    }
}

/// What is wrong with a value.
struct SettingError: Error, Equatable, CustomStringConvertible {
    var description: String

    init(_ description: String) {
        self.description = description
    }
}
