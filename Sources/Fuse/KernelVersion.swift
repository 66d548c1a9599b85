/// The version of the running kernel, for behaviour that no flag of the protocol tells.
struct KernelVersion: Comparable {
    var major: Int
    var minor: Int

    /// 0.0 if the kernel does not say.
    static let current: KernelVersion = {
        guard let release = try? readSmallFile("/proc/sys/kernel/osrelease") else {
            return KernelVersion(major: 0, minor: 0)
        }
        return KernelVersion(release: release)
    }()

    init(major: Int, minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// As in uname(2), for example `5.15.0-1053-aws`.
    init(release: String) {
        let numbers = release.split(whereSeparator: { !$0.isASCII || !$0.isNumber }).prefix(2).map { Int($0) ?? 0 }
        self.init(major: numbers.first ?? 0, minor: numbers.count > 1 ? numbers[1] : 0)
    }

    static func < (left: KernelVersion, right: KernelVersion) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }
}
