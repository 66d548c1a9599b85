import TestKit

/// One step of a history with crashes. Its description is the Swift source that makes it.
enum CrashOperation: Equatable, Sendable {
    case call(FileSystemCall)
    /// The flush timer fires.
    case flush
    /// What is due runs, time passes, and what is due then runs.
    case pass(milliseconds: Int)
    /// Somebody asks for everything to be in the bucket (`sluice sync`), and does not wait for it.
    case urge
    /// Local bytes of what is in the bucket are let go.
    case evict
    /// From now on one request in so many fails, is answered late or loses its answer; 0: none.
    case faults(oneIn: Int)
    /// The process dies at the call to the disk after `calls` more, at the latest before the next crash or the end of
    /// the history; and again so many calls after each start of `again`.
    case crash(after: Int, CrashEnd, again: [Again])

    struct Again: Equatable, Sendable, CustomStringConvertible {
        var calls: Int
        var end: CrashEnd

        var description: String { ".init(calls: \(calls), end: .\(end))" }
    }
}

/// How a process ends.
enum CrashEnd: Equatable, Sendable {
    case kill
    case powerCut(oneIn: Int)
}

extension [CrashOperation] {
    /// As the source of an array literal, an operation a line.
    var source: String { "[\n" + map { "    .\($0.source),\n" }.joined() + "]" }
}

extension CrashOperation {
    fileprivate var source: String {
        switch self {
        case .call(let call): "call(.\(call))"
        case .crash(let calls, let end, let again): "crash(after: \(calls), .\(end), again: \(again))"
        default: "\(self)"
        }
    }
}
