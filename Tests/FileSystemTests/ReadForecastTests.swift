import Cache
import Testing

@testable import FileSystem

@Suite struct ReadForecastTests {
    private let directory = InodeNumber(rawValue: 1)
    private let other = InodeNumber(rawValue: 2)

    private func file(_ number: Int) -> InodeNumber { InodeNumber(rawValue: UInt64(100 + number)) }

    @Test func whoOnlyLooksIsSoonUnderstood() {
        var forecast = ReadForecast()
        let guesses = (0..<100).map { forecast.look(file($0), in: directory) }
        #expect(guesses.count { $0 } == ReadForecast.firstScore)
        // Nor does he read elsewhere.
        let isReader = forecast.look(file(1000), in: other)
        #expect(!isReader)
    }

    @Test func whoOpensWhatHeLooksUpIsTakenForAReader() {
        var forecast = ReadForecast()
        for number in 0..<100 { _ = forecast.look(file(number), in: directory) }
        for number in 100..<200 {
            let isReader = forecast.look(file(number), in: directory)
            #expect(isReader || number == 100)
            forecast.opened(file(number))
        }
    }

    @Test func manyReadersAtOnceAreReaders() {
        var forecast = ReadForecast()
        var guesses: [Bool] = []
        for round in 0..<20 {
            let files = (0..<16).map { file(round * 16 + $0) }
            guesses += files.map { forecast.look($0, in: directory) }
            for file in files { forecast.opened(file) }
        }
        #expect(guesses.dropFirst(32).allSatisfy { $0 })
    }

    @Test func aReaderThatStopsIsForgottenAfterSoManyLooks() {
        var forecast = ReadForecast()
        for number in 0..<1000 {
            _ = forecast.look(file(number), in: directory)
            forecast.opened(file(number))
        }
        let guesses = (1000..<2000).map { forecast.look(file($0), in: directory) }
        #expect(guesses.count { $0 } <= ReadForecast.maximumScore)
    }
}
