import ObjectStore
import Platform
import SystemPackage

/// The durable side of ``FileExtents``: a log beside the data file of a file that is not yet wholly local.
///
/// A range is appended after its bytes are in the data file: a crash between the two makes the bytes be fetched
/// again. After a power cut, what was written but not synced may be holes: then only records before the last
/// `synced` mark count. The log belongs to one version of the object, named in its first record.
///
/// A log that has no record yet is in memory alone; the first record makes it, or fails. If that says that every byte is
/// there, the log is not worth a file: the row of the inode says so soon (``FileEnd/isWhole``).
///
/// Guarded by the lock of its ``CachedFile``.
struct RangeLog: Sendable {
    /// What every log begins with.
    private struct Start: Sendable {
        let name: String
        let disk: any Disk
        let records: [RangeLogRecord]
    }

    /// Nil as long as it is in memory alone.
    private var file: (any DiskFile)?
    /// What it tells while it is in memory alone; written with the next record.
    private var deferred: RangeLogRecord?
    private let start: Start
    /// Size in bytes: where the next record goes.
    private(set) var end: Int64
    /// Whether the bytes of a former process that it tells of were synced by then. They are as good as written by this
    /// one if not.
    private(set) var wasSynced = true

    /// Opens the log `name` of the object version `etag` and replays it on `extents`; starts it anew if there is
    /// none or it belongs to another version.
    static func open(
        _ name: String, on disk: any Disk, version etag: ETag, boot: BootIdentity, extents: inout FileExtents
    ) throws(Errno) -> RangeLog {
        let start = Start(
            name: name, disk: disk, records: [.boot(fingerprint(of: etag)), .boot(boot)])
        let none = RangeLog(file: nil, start: start, end: 0)
        guard let file = try openFile(name, on: disk) else { return none }
        let size = try file.status().size
        let records = try load(file, size: size)
        let version = RangeLogRecord.boot(fingerprint(of: etag))
        let adopted = RangeLogRecord.version(fingerprint(of: etag))
        if records.first == version || records.contains(adopted) {
            let kept = trusted(records, boot: boot)
            for record in kept { extents.apply(record) }
            var log = RangeLog(file: file, start: start, end: Int64((1 + kept.count) * RangeLogRecord.size))
            if lastBoot(records) == boot {
                log.wasSynced = areSynced(kept)
            } else {
                try log.goOn(in: boot)
            }
            if log.end < size {
                // Before something is written in their place: it must not be read together with what is left of them.
                try file.truncate(to: log.end)
                try file.synchronize()
            }
            if records.first != version, !kept.contains(adopted) { try log.adopt(etag) }
            return log
        }
        if size > 0 {
            try file.truncate(to: 0)
            try file.synchronize()
        }
        return none
    }

    /// Nil if there is none.
    private static func openFile(_ name: String, on disk: any Disk) throws(Errno) -> (any DiskFile)? {
        do {
            return try disk.open(name, .existing)
        } catch {
            guard error == .noSuchFileOrDirectory else { throw error }
            return nil
        }
    }

    var isInMemory: Bool { file == nil }
    /// Every byte is there, and no file says so.
    var isWhole: Bool { deferred != nil }

    /// Remembers a record that makes the log unnecessary; of a log that is in memory.
    mutating func `defer`(_ record: RangeLogRecord) { deferred = record }

    /// Makes the log's file.
    mutating func make() throws(Errno) { try begin() }

    /// The log's file with what it begins with; made if it is in memory alone.
    @discardableResult
    private mutating func begin() throws(Errno) -> any DiskFile {
        if let file { return file }
        let file = try start.disk.open(start.name, .truncated)
        let records = start.records + (deferred.map { [$0] } ?? [])
        try file.write(records.flatMap(\.bytes), at: 0)
        end = Int64(records.count * RangeLogRecord.size)
        self.file = file
        deferred = nil
        return file
    }

    /// The records up to here were on the disk when this boot began. The mark that says so may lie behind them: it is
    /// written anew before that is cut off, or the next power cut would take them.
    private mutating func goOn(in boot: BootIdentity) throws(Errno) {
        try append(.synced(before: end))
        try append(.boot(boot))
        try file?.synchronize()
    }

    mutating func append(_ record: RangeLogRecord) throws(Errno) {
        try begin().write(record.bytes, at: end)
        end += Int64(RangeLogRecord.size)
    }

    /// Records that the data file was synced when the log ended at `offset`, and makes that durable. Does nothing where no
    /// file tells of anything.
    mutating func markSynced(before offset: Int64) throws(Errno) {
        guard !isInMemory else { return }
        try append(.synced(before: offset))
        try file?.synchronize()
    }

    /// Makes the log hold for a copy of the object under another ETag, durably.
    mutating func adopt(_ etag: ETag) throws(Errno) {
        try append(.version(Self.fingerprint(of: etag)))
        try file?.synchronize()
    }

    private static func load(_ file: any DiskFile, size: Int64) throws(Errno) -> [RangeLogRecord] {
        records(in: try file.contents(limit: Int(size)))
    }

    /// Up to the first that is none.
    static func records(in bytes: [UInt8]) -> [RangeLogRecord] {
        var records: [RangeLogRecord] = []
        for start in stride(from: 0, through: bytes.count - RangeLogRecord.size, by: RangeLogRecord.size) {
            guard let record = RangeLogRecord(bytes: bytes[start..<start + RangeLogRecord.size]) else { break }
            records.append(record)
        }
        return records
    }

    /// All records if this boot wrote the last of them; else those before the last sync.
    static func trusted(_ records: [RangeLogRecord], boot: BootIdentity) -> ArraySlice<RangeLogRecord> {
        if lastBoot(records) == boot { return records.dropFirst() }
        for record in records.reversed() {
            guard case .synced(let offset) = record else { continue }
            return records[1..<min(max(1, Int(offset) / RangeLogRecord.size), records.count)]
        }
        return []
    }

    /// Whether a mark covers the last range. `records`: without the first of the log.
    private static func areSynced(_ records: ArraySlice<RangeLogRecord>) -> Bool {
        var (end, synced, last) = (Int64(RangeLogRecord.size), Int64(0), Int64(0))
        for record in records {
            end += Int64(RangeLogRecord.size)
            switch record {
            case .present, .limit: last = end
            case .synced(let offset): synced = max(synced, offset)
            case .absent, .boot, .version: break
            }
        }
        return last <= synced
    }

    private static func lastBoot(_ records: [RangeLogRecord]) -> BootIdentity? {
        for record in records.dropFirst().reversed() {
            if case .boot(let boot) = record { return boot }
        }
        return nil
    }

    /// 64 bits of FNV-1a, twice: this is against mix-ups, not against attackers.
    static func fingerprint(of etag: ETag) -> BootIdentity {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in etag.value.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return BootIdentity(high: hash, low: ~hash)
    }
}
