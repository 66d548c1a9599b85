import CLinux
import Foundation

/// Tells a person at a terminal what a command waits for; says nothing to a pipe.
struct Progress {
    let verb: String

    func show(_ left: ControlAnswer.Remainder) {
        guard isatty(STDERR_FILENO) == 1 else { return }
        FileHandle.standardError.write(Data("\r\u{1b}[K\(verb): \(left.text) to go".utf8))
    }

    /// One line, whatever is in it.
    static func tell(_ text: String) {
        FileHandle.standardError.write(Data("sluice: \(PrintableText.line(text))\n".utf8))
    }
}

extension ControlAnswer.Remainder {
    var text: String {
        let content = "\(files) files (\(Units.text(bytes: bytes)))"
        return operations == 0 ? content : "\(content) and \(operations) other changes"
    }
}
