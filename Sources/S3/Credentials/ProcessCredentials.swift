import Foundation
import ObjectStore
import Platform

/// Keys that a program prints: `credential_process` of the profile.
struct ProcessCredentials: CredentialsSource {
    struct Question: Equatable, Sendable {
        var words: [String]
    }

    /// Bytes that it may print.
    private static let outputLimit = 64 << 10

    private let profile: ProfileFiles
    private let environment: [String: String]
    private let timeout: Duration

    init(_ profile: ProfileFiles, environment: [String: String], timeout: Duration = .seconds(60)) {
        self.profile = profile
        self.environment = environment
        self.timeout = timeout
    }

    var place: String { "credential_process of profile \"\(profile.name)\"" }

    func question() throws(StoreError) -> Question? {
        guard let command = try profile.content().value("credential_process") else { return nil }
        guard let words = CommandWords.split(command), !words.isEmpty, !command.utf8.contains(0) else {
            throw StoreError(.noCredentials, message: "\(place) is no command: a quote has no end")
        }
        return Question(words: words)
    }

    func ask(_ question: Question) async throws(StoreError) -> Credentials? {
        let result = await withCheckedContinuation { continuation in
            // A thread of its own: a program may take its time, and tasks share few threads.
            Thread.detachNewThread { [environment, timeout] in
                continuation.resume(
                    returning: Result { () throws(CapturedProcess.Failure) in
                        try CapturedProcess.output(
                            of: question.words, environment: environment, timeout: timeout, limit: Self.outputLimit)
                    })
            }
        }
        switch result {
        case .success(let bytes):
            return try CredentialsDocument.credentials(bytes, from: place, needsVersion: true)
        case .failure(let failure):
            throw StoreError(.noCredentials, message: "\(place) \(Self.text(failure, timeout))")
        }
    }

    private static func text(_ failure: CapturedProcess.Failure, _ timeout: Duration) -> String {
        switch failure {
        case .start(let errno): "cannot be started: \(errno)"
        case .exit(let code): "ended with \(code)"
        case .tookTooLong: "gave nothing in \(timeout.components.seconds) s"
        case .wroteTooMuch: "printed over \(outputLimit >> 10) KiB"
        }
    }
}
