import CLinux
import Platform
import SystemPackage

/// Copies what a state directory has and the bucket has not into a plain directory: nothing is overwritten, no link is
/// followed, no name leads out of the directory.
public struct Salvage {
    /// One thing that was copied, or was not.
    public struct Outcome: Equatable, Sendable {
        /// What it is: a path in the mount, or a name in the state directory.
        public var what: String
        /// Below the directory; nil if nothing could be copied.
        public var place: String?
        /// What is to be known of it; nil if it is whole.
        public var remark: String?
        public var isFailure: Bool
    }

    /// In here is what has no path, so that it does not mix with what has.
    public static let lostAndFound = "sluice-lost+found"

    private let tree: StateTree
    private let target: SalvageDirectory
    public private(set) var outcomes: [Outcome] = []

    /// Into the directory at `path`, which is made if there is none. Throws ``CacheError/unusable(_:)``.
    public init(of examination: StateExamination, into path: String) throws(CacheError) {
        tree = examination.tree
        target = try SalvageDirectory(path: path)
    }

    /// Copies everything. Failures are outcomes.
    public mutating func run(_ report: StateReport) {
        for unsent in report.unsent { outcomes.append(copy(unsent)) }
        for stray in report.strays + report.quarantined { outcomes.append(copy(stray)) }
        do { try target.synchronize() } catch {
            outcomes.append(Outcome(what: "", place: nil, remark: "syncing: \(error)", isFailure: true))
        }
    }

    private func copy(_ unsent: StateReport.Unsent) -> Outcome {
        let what = unsent.path ?? "inode \(unsent.inode)"
        let components =
            unsent.path.map { SalvageName.components(ofPath: $0) }
            ?? SalvageName.components(ofStray: FileCache.dataName(unsent.inode))
        do throws(Errno) {
            switch unsent.bytes {
            case .text(let text): return try write(ByteText.decode(text), what, components)
            case .file(let name, let ranges):
                return try copy(name, what, components, ranges, missing: unsent.missing, remote: unsent.remote?.string)
            case .none where unsent.kind == .directory:
                return Outcome(
                    what: what, place: try target.makeDirectory(components), remark: nil, isFailure: false)
            case .none where unsent.kind == .file && unsent.size == 0: return try write([], what, components)
            case .none where unsent.kind == .file:
                return Outcome(what: what, place: nil, remark: "its bytes are gone", isFailure: true)
            case .none:
                return Outcome(
                    what: what, place: nil, remark: "has no bytes to save (\(unsent.kind))", isFailure: false)
            }
        } catch {
            return Outcome(what: what, place: nil, remark: "\(error)", isFailure: true)
        }
    }

    private func copy(_ stray: StateReport.Stray) -> Outcome {
        let components =
            stray.path.map { SalvageName.components(ofPath: $0) } ?? SalvageName.components(ofStray: stray.name)
        do throws(Errno) {
            return try copy(stray.name, stray.name, components, stray.ranges, missing: 0, remote: nil)
        } catch {
            return Outcome(what: stray.name, place: nil, remark: "\(error)", isFailure: true)
        }
    }

    /// The target of a symbolic link, as a plain file.
    private func write(_ bytes: [UInt8], _ what: String, _ components: [[UInt8]]) throws(Errno) -> Outcome {
        let (file, place) = try target.makeFile(components)
        try file.write(bytes, at: 0)
        return Outcome(what: what, place: place, remark: nil, isFailure: false)
    }

    private func copy(
        _ name: String, _ what: String, _ components: [[UInt8]], _ ranges: [Range<Int64>]?, missing: Int64,
        remote: String?
    ) throws(Errno) -> Outcome {
        let source = try tree.open(name)
        let status = try source.status()
        let isPartial = missing > 0 || ranges != nil
        let (file, place) = try target.makeFile(isPartial ? SalvageName.partial(components) : components)
        var unreadable: Int64 = 0
        for range in ranges ?? [0..<status.size] { unreadable += try file.copy(source, range) }
        try file.truncate(to: status.size)
        try file.setModified(status.modified)
        var remarks: [String] = []
        if missing > 0 { remarks.append("partial: \(missing) bytes are not here") }
        if missing > 0, let remote { remarks.append("the bucket has them as \(remote)") }
        if missing == 0 && ranges != nil { remarks.append("partial: only some of its bytes were local") }
        if unreadable > 0 { remarks.append("\(unreadable) bytes could not be read from the disk") }
        return Outcome(
            what: what, place: place, remark: remarks.isEmpty ? nil : remarks.joined(separator: "; "),
            isFailure: unreadable > 0)
    }
}
