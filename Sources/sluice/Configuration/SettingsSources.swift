import Foundation

/// Where settings come from: defaults < file < environment < options.
enum SettingsSources {
    /// `SLUICE_UPLOAD_DELAY` stands for `upload_delay`.
    private static let environmentPrefix = "SLUICE_"
    /// Variables with that prefix which are no settings.
    private static let otherVariables: Set<String> = [Launcher.readinessVariable]
    /// Options of mount(8) that fstab lines carry and that say nothing to a file system.
    private static let ignoredOptions: Set<String> = [
        "defaults", "_netdev", "auto", "noauto", "nofail", "user", "nouser", "users", "owner", "group", "suid",
        "nosuid", "dev", "nodev", "exec", "noexec", "async", "atime", "noatime", "relatime", "norelatime",
        "diratime", "nodiratime", "lazytime",
    ]

    /// - Parameters:
    ///   - file: of `--config`; nil for none.
    ///   - options: what `-o` was given, each `key[=value][,…]`.
    ///   - flags: options of their own on the command line, by their keys.
    static func settings(
        file: String?, environment: [String: String], options: [String], flags: [(key: String, value: String)]
    ) throws(CommandFailure) -> Settings {
        var settings = Settings()
        if let file { try ConfigurationFile(path: file).apply(to: &settings) }
        for (name, value) in environment.sorted(by: { $0.key < $1.key })
        where name.hasPrefix(environmentPrefix) && !otherVariables.contains(name) && !name.hasPrefix("SLUICE_TEST_") {
            let key = name.dropFirst(environmentPrefix.count).lowercased()
            try set(key, value, &settings, place: "the environment variable \(name)")
        }
        for option in options.flatMap({ $0.split(separator: ",") }) {
            let (key, value) = pair(option)
            if ignoredOptions.contains(key) || key.hasPrefix("x-") || key == "comment" { continue }
            try set(key, value, &settings, place: "the option -o \(option)")
        }
        for (key, value) in flags {
            try set(key, value, &settings, place: "--" + key.replacingOccurrences(of: "_", with: "-"))
        }
        return settings
    }

    private static func pair(_ option: Substring) -> (key: String, value: String) {
        let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        return (String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
    }

    private static func set(
        _ key: String, _ value: String, _ settings: inout Settings, place: String
    ) throws(CommandFailure) {
        do {
            try settings.set(key, to: value)
        } catch {
            throw .usage("\(place): \(error)")
        }
    }
}
