/// What is known of whether a store honours conditions on writes. Pure.
///
/// Some stores answer that they do not know a condition, some ignore it without a word: those are found out by a
/// write that must be refused (``ConditionalStore``).
public struct ConditionSupport: Equatable, Sendable {
    public enum Operation: String, CaseIterable, Sendable {
        case put, copy, complete, delete
    }

    /// Whether writes were tried that had to be refused.
    public var isProven: Bool
    /// Operations whose conditions the store refuses to know, or ignores.
    public var missing: Set<Operation> = []

    /// Nothing has to be tried.
    public static let trusted = ConditionSupport(isProven: true)
    public static let unknown = ConditionSupport(isProven: false)

    public init(isProven: Bool) { self.isProven = isProven }

    /// As ``text`` gives it. What was missing is shown and tried again: the store may know it by now.
    public init(text: String) {
        let words = text.split(separator: " ")
        missing = Set(words.compactMap { Operation(rawValue: String($0)) })
        isProven = words.first == "proven" && missing.isEmpty
    }

    public var text: String { (["proven"] + missing.map(\.rawValue).sorted()).joined(separator: " ") }

    /// For people; nil if nothing is missing as far as is known.
    public var warning: String? {
        guard !missing.isEmpty else { return nil }
        let names = missing.map(\.rawValue).sorted().joined(separator: ", ")
        return "the store does not honour conditions on writes (\(names)): it is asked before each, and what another "
            + "writer changes in between may be overwritten"
    }
}
