import Testing

@testable import sluice

@Suite struct UnitsTests {
    @Test(arguments: [
        ("500ms", Duration.milliseconds(500)), ("1s", .seconds(1)), ("1.5s", .milliseconds(1500)),
        ("2m", .seconds(120)),
        ("1h", .seconds(3600)), ("1d", .seconds(86400)), ("0s", .zero),
    ])
    func durationsCarryTheirUnit(text: String, duration: Duration) {
        #expect(Units.duration(text) == duration)
    }

    @Test(arguments: [
        ("4096B", Int64(4096)), ("64KiB", 65536), ("50GiB", 53_687_091_200), ("10GB", 10_000_000_000),
        ("1.5MiB", 1_572_864),
    ])
    func sizesCarryTheirUnit(text: String, size: Int64) {
        #expect(Units.size(text) == size)
    }

    @Test(arguments: ["", "5", "s", "-1s", "1 s", "1x", "1.2.3s", "1e3s", "∞s"])
    func anythingElseIsRefused(text: String) {
        #expect(Units.duration(text) == nil)
        #expect(Units.size(text) == nil)
    }
}
