import ArgumentParser
import Foundation

struct MountCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mount",
        abstract: "Mount a bucket as a directory.",
        discussion: """
            Returns when the mount answers; the daemon goes on in the background and writes its log to sluice.log in \
            the state directory. What programs write is kept there until it is in the bucket, whatever happens.

            Credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN), from \
            ~/.aws with AWS_PROFILE or --profile, from a program, a login, a web identity, the container or the \
            instance (docs/configuration.md), never from the command line.

            EXAMPLES
              sluice mount s3://recordings/robot7 /data/bags
              sluice mount s3://datasets /mnt/datasets --read-only --region eu-central-1
              sluice mount file:///srv/bucket /mnt/try
              sluice mount s3://bucket /mnt/b -o upload_delay=10s,cache_limit=50GiB
            """)

    @Argument(help: "s3://BUCKET[/PREFIX], or file:///DIRECTORY for a local directory as the bucket.")
    var source: String

    @Argument(help: "An existing, empty directory.")
    var mountpoint: String

    @OptionGroup(title: "Bucket and state")
    var store: StoreArguments

    @Flag(help: "Refuse every change.")
    var readOnly = false

    @Flag(help: "Stay in the foreground and log to standard error.")
    var foreground = false

    @Flag(help: "Let other users in; permissions decide what they may do.")
    var allowOther = false

    @Option(help: "Show every file as owned by this user.")
    var uid: String?

    @Option(help: "Show every file as owned by this group.")
    var gid: String?

    @Option(help: "Permission bits to take away from every file, octal.")
    var umask: String?

    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        let settings = try settings(environment)
        let source = try SourceURL(source)
        guard !mountpoint.isEmpty else { throw CommandFailure.usage("the mount point is empty: name a directory") }
        if foreground {
            try await Daemon(
                source: source, mountPoint: mountpoint, settings: settings, environment: environment
            ).run()
        } else {
            try Launcher.launch(arguments: Array(CommandLine.arguments.dropFirst()))
        }
    }

    private func settings(_ environment: [String: String]) throws -> Settings {
        var flags = store.flags
        if readOnly { flags.append(("read_only", "true")) }
        if allowOther { flags.append(("allow_other", "true")) }
        if let uid { flags.append(("uid", uid)) }
        if let gid { flags.append(("gid", gid)) }
        if let umask { flags.append(("umask", umask)) }
        return try SettingsSources.settings(
            file: store.config, environment: environment, options: store.options, flags: flags)
    }
}
