import Cache
import ObjectStore

/// Which keys of the bucket have no name in a mount, or another one than their own.
struct NamesCheck {
    /// Keys that are looked at: a hundred requests.
    static let limit = 100_000
    /// Keys that are named for each finding.
    private static let shown = 10

    let store: any ObjectStore

    func run(_ report: inout CheckReport) async {
        var survey = KeySurvey()
        do {
            let isWhole = try await survey.read(store)
            tell(survey, isWhole, &report)
        } catch {
            report.add(.note, "names: the keys could not be looked at: \(error)")
        }
    }

    private func tell(_ survey: KeySurvey, _ isWhole: Bool, _ report: inout CheckReport) {
        let (reached, lost) = survey.covered
        let scope = isWhole ? "\(survey.count) keys" : "the first \(survey.count) keys"
        if reached.isEmpty && lost.isEmpty && survey.unnameable.isEmpty {
            return report.add(.good, "names: each of \(scope) is a path of the mount")
        }
        report.add(.good, "names: \(scope) were looked at")
        let suffix = FileName.coveredSuffix
        add("keys are directories as well, and the objects are reached with \(suffix)", reached, &report)
        add("keys are directories as well, and no name is left for the objects", lost, &report)
        add("keys that no path can name are left alone", survey.unnameable, &report)
    }

    private func add(_ finding: String, _ keys: [ObjectKey], _ report: inout CheckReport) {
        guard !keys.isEmpty else { return }
        let shown = keys.prefix(Self.shown).map { "\"\($0)\"" }.joined(separator: ", ")
        let rest = keys.count - Self.shown
        report.add(.note, "names: \(keys.count) \(finding): \(shown)" + (rest > 0 ? " and \(rest) more" : ""))
    }
}

extension KeySurvey {
    /// Returns whether these are all keys.
    fileprivate mutating func read(_ store: any ObjectStore) async throws(StoreError) -> Bool {
        var continuation: String?
        var progress = ListingProgress()
        repeat {
            let page = try await store.list(prefix: "", delimiter: nil, continuation: continuation, limit: 1000)
            try progress.take(page)
            for object in page.objects { add(object.key) }
            continuation = page.continuation
        } while continuation != nil && count < NamesCheck.limit
        return continuation == nil
    }
}
