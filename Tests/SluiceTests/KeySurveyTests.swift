import ObjectStore
import Testing

@testable import sluice

/// Keys and the names that they have in a mount.
@Suite struct KeySurveyTests {
    private func survey(_ keys: String...) -> KeySurvey {
        var survey = KeySurvey()
        for key in keys { survey.add(ObjectKey(key)) }
        return survey
    }

    @Test func ordinaryKeysAreNoFinding() {
        let survey = survey("a", "b/", "b/c", "d/e/f")
        #expect(survey.count == 4 && survey.unnameable.isEmpty)
        #expect(survey.covered.reached.isEmpty && survey.covered.lost.isEmpty)
    }

    @Test(arguments: ["a/x", "a/", "a/b/c"])
    func aKeyThatIsADirectoryIsReachedWithTheSuffix(below: String) {
        #expect(survey("a", below).covered.reached == [ObjectKey("a")])
        #expect(survey(below, "a", "a-b").covered.reached == [ObjectKey("a")])
    }

    @Test func aNameThatIsTakenOrTooLongIsLost() {
        let long = String(repeating: "n", count: 250)
        #expect(survey("d/a", "d/a.sluice-object", "d/a/x").covered.lost == [ObjectKey("d/a")])
        #expect(survey(long, long + "/x").covered.lost == [ObjectKey(long)])
    }

    @Test func keysThatNoPathCanNameAreFound() {
        let odd = ["//", "/x", "..", "a/./b", "a//b", String(repeating: "n", count: 256)]
        var survey = KeySurvey()
        for key in odd + ["fine"] { survey.add(ObjectKey(key)) }
        #expect(survey.unnameable == odd.map { ObjectKey($0) })
    }

    @Test func keysThatLookTheSameAreNotTheSame() {
        #expect(survey("\u{e9}", "e\u{301}/x").covered.reached.isEmpty)
    }
}
