import Foundation

/// What `sluice check` found, told line by line as it is found.
struct CheckReport {
    enum Verdict: String {
        case good = "ok  "
        /// Works, but not as well as it could.
        case note = "note"
        case bad = "FAIL"
    }

    private(set) var lines: [(verdict: Verdict, text: String)] = []
    private let tell: (String) -> Void

    init(tell: @escaping (String) -> Void = { FileHandle.standardOutput.write(Data(($0 + "\n").utf8)) }) {
        self.tell = tell
    }

    var hasFailed: Bool { lines.contains { $0.verdict == .bad } }

    mutating func add(_ verdict: Verdict, _ text: String) {
        lines.append((verdict, text))
        tell("\(verdict.rawValue)  \(PrintableText.line(text))")
    }
}
