import ArgumentParser
import Foundation
import Logging

struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Say what will and will not work: this machine, the credentials, the bucket.",
        discussion: """
            Tries what a mount needs, with objects of a few bytes under a name of its own (.sluice-check-…) that are \
            taken away again; with --read-only nothing is written. Exits with 1 if a mount would not work.
            """
    )

    @Argument(help: "s3://BUCKET[/PREFIX], or file:///DIRECTORY for a local directory as the bucket.")
    var source: String

    @OptionGroup(title: "Bucket and state")
    var store: StoreArguments

    @Flag(help: "Write nothing: check for a mount that only reads.")
    var readOnly = false

    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        var flags = store.flags
        if readOnly { flags.append(("read_only", "true")) }
        let settings = try SettingsSources.settings(
            file: store.config,
            environment: environment,
            options: store.options,
            flags: flags
        )
        let source = try SourceURL(source)
        let logger = Logger(label: "sluice") { _ in LineLogHandler(level: .error) }
        let bucket = try StoreFactory.bucket(source, settings: settings, environment: environment, logger: logger)
        var report = CheckReport()
        MachineCheck(settings: settings, identity: bucket.identity, environment: environment).run(&report)
        await BucketCheck(
            bucket: bucket, source: source, isReadOnly: settings.isReadOnly, timeout: settings.networkTimeout
        ).run(&report)
        if report.hasFailed { throw CommandFailure("a mount of \(source) would not work as it is: see above") }
    }
}
