import Platform
import SystemPackage

/// Holds the data files against their rows: what of them is not in the bucket, and what is not as the journal says.
struct DataExamination {
    let tree: StateTree
    let contents: JournalContents
    private let hasJournal: Bool
    private let paths: JournalPaths
    private let boot: BootIdentity

    /// What is in `data/` under the number of an inode.
    private struct Found {
        var entry: StateTree.Entry
        var hasLog = false
    }

    init(tree: StateTree, contents: JournalContents?, boot: BootIdentity) {
        self.tree = tree
        self.contents = contents ?? JournalContents()
        hasJournal = contents != nil
        paths = JournalPaths(self.contents)
        self.boot = boot
    }

    func run(_ report: inout StateReport) {
        let found = findFiles(&report)
        report.dataFiles = found.count
        for inode in contents.inodes.values.sorted(by: { $0.number < $1.number }) {
            examine(inode, found[inode.number], &report)
        }
        for (number, file) in found.sorted(by: { $0.key < $1.key }) where contents.inodes[number] == nil {
            examineStray(number, file, &report)
        }
        report.unsent.sort { ($0.path ?? "", $0.inode) < ($1.path ?? "", $1.inode) }
    }

    private func findFiles(_ report: inout StateReport) -> [InodeNumber: Found] {
        var found: [InodeNumber: Found] = [:]
        var logs: Set<InodeNumber> = []
        for shard in (try? tree.names(in: "data")) ?? [] {
            let names: [String]
            do {
                names = try tree.names(in: "data/\(shard)")
            } catch {
                report.damaged("data/\(shard)", "cannot be read as a directory: \(error)")
                continue
            }
            for name in names {
                let place = "data/\(shard)/\(name)"
                guard let entry = (try? tree.entry(place)).flatMap({ $0 }) else { continue }
                guard let number = FileCache.number(ofDataFile: name), place.hasPrefix(FileCache.dataName(number))
                else {
                    report.strays.append(StateReport.Stray(name: place, size: entry.size))
                    continue
                }
                if name.hasSuffix(".ranges") { logs.insert(number) } else { found[number] = Found(entry: entry) }
            }
        }
        for number in logs { found[number]?.hasLog = true }
        return found
    }

    // MARK: Files that the journal knows

    private func examine(_ inode: Inode, _ found: Found?, _ report: inout StateReport) {
        guard inode.linkCount > 0 || paths.hasName(inode.number.sql) else { return }
        let place = paths.place(of: inode.number.sql)
        if let found, let fault = fault(found.entry) {
            report.damaged(place, "\(FileCache.dataName(inode.number)) \(fault)")
        }
        if inode.kind == .file && inode.aliasOf == nil && inode.local != .none {
            checkFile(inode, found, place, &report)
        }
        if inode.pending.contains(.content) { list(inode, found, &report) }
    }

    private func fault(_ entry: StateTree.Entry) -> String? {
        if entry.kind != .file { return "is \(entry.kind.text), not a regular file" }
        if entry.links > 1 { return "has \(entry.links) names (hard links)" }
        if let top = (try? tree.entry("")).flatMap({ $0 }), top.owner != entry.owner {
            return "belongs to user \(entry.owner), not to \(top.owner)"
        }
        return nil
    }

    private func checkFile(_ inode: Inode, _ found: Found?, _ place: String, _ report: inout StateReport) {
        let isUnsent = inode.pending.contains(.content)
        guard let found else {
            if isUnsent && inode.size > 0 {
                report.damaged(place, "its unsent bytes are not in the state directory any more")
            } else if !isUnsent {
                report.note(place, "its local bytes are gone; the bucket has them")
            }
            return
        }
        guard found.entry.kind == .file else { return }
        if found.entry.size < inode.size {
            let text = "its data file has \(found.entry.size) of \(inode.size) bytes"
            if isUnsent { report.damaged(place, text) } else { report.damaged(place, text + "; the bucket has all") }
        } else if !isUnsent {
            let damaged = damagedBytes(of: inode, in: localRanges(of: inode))
            if damaged > 0 {
                report.damaged(place, "\(damaged) of its local bytes are in damaged blocks; the bucket has them")
            }
        }
        if inode.local == .partial && ranges(of: inode.number, inode) == nil && (isUnsent || found.hasLog) {
            report.damaged(place, "the log of which of its bytes are local is damaged or gone")
        }
    }

    private func list(_ inode: Inode, _ found: Found?, _ report: inout StateReport) {
        let source = inode.aliasOf.flatMap { contents.inodes[$0] } ?? inode
        var unsent = StateReport.Unsent(
            path: paths.path(of: inode.number.sql), inode: inode.number, kind: inode.kind, size: 0, missing: 0,
            remote: source.remote?.key, bytes: .none)
        if inode.kind == .symbolicLink, let target = source.linkTarget {
            unsent.bytes = .text(target)
            unsent.size = Int64(ByteText.decode(target).count)
        }
        if inode.kind == .file { describeBytes(of: source, &unsent) }
        report.unsent.append(unsent)
    }

    private func describeBytes(of inode: Inode, _ unsent: inout StateReport.Unsent) {
        let name = FileCache.dataName(inode.number)
        unsent.size = inode.size
        guard inode.local != .none, let entry = (try? tree.entry(name)).flatMap({ $0 }), entry.kind == .file else {
            unsent.missing = inode.size
            return
        }
        unsent.size = max(inode.size, entry.size)
        let ranges = inode.local == .partial ? ranges(of: inode.number, inode) : nil
        unsent.bytes = .file(name, ranges: ranges)
        let present = ranges.map { $0.reduce(Int64(0)) { $0 + $1.length } } ?? entry.size
        unsent.missing = max(0, unsent.size - present)
    }

    /// Of a file that is as in the bucket.
    private func localRanges(of inode: Inode) -> [Range<Int64>] {
        inode.local == .partial ? ranges(of: inode.number, inode) ?? [] : [0..<inode.size]
    }

    /// Local ranges of a file with a range log; nil if the log says nothing.
    private func ranges(of number: InodeNumber, _ inode: Inode?) -> [Range<Int64>]? {
        guard let file = try? tree.open(FileCache.rangeLogName(number)), let size = try? file.status().size,
            let bytes = try? file.contents(limit: Int(min(size, Self.longestLog)))
        else { return nil }
        let end = (try? tree.entry(FileCache.dataName(number))).flatMap { $0 }?.size ?? 0
        return RangeLog.localRanges(in: bytes, of: inode?.remote, size: end, boot: boot)
    }

    /// Bytes of a range log that are looked at: some millions of records.
    private static let longestLog: Int64 = 256 << 20

    // MARK: Files that it does not know

    private func examineStray(_ number: InodeNumber, _ found: Found, _ report: inout StateReport) {
        // What a removal under way leaves behind is known, and an empty file is no loss.
        guard !contents.discarded.contains(number.sql), found.entry.kind != .file || found.entry.size > 0 else {
            return
        }
        report.strays.append(
            StateReport.Stray(
                name: FileCache.dataName(number), size: found.entry.kind == .file ? found.entry.size : 0,
                path: paths.path(of: number.sql), ranges: found.hasLog ? ranges(of: number, nil) : nil))
    }
}
