import Cache

/// Whether a file that is looked up will be read next, as by a program that opens one file after the other, or will not,
/// as by `ls -l`: guessed by what became of the last look-ups in its directory.
///
/// It decides no more than how attributes are asked for: alone, or together with bytes. Pure.
struct ReadForecast {
    /// Who has read so many files is soon understood when he only looks.
    static let maximumScore = 32
    /// Of a mount in which nothing was looked up yet: so many requests may bring bytes that nobody reads.
    static let firstScore = 4
    /// Look-ups that were not followed by an open yet, and directories; beyond, all are forgotten.
    static let memoryLimit = 4096

    /// A look-up takes one away, and the open after it gives two.
    private var scores: [InodeNumber: Int] = [:]
    /// Of the directory that was last read in: what a directory begins with.
    private var latest = firstScore
    /// Directories of files that were looked up.
    private var looks: [InodeNumber: InodeNumber] = [:]

    /// A file was looked up. Returns whether it will be read next.
    mutating func look(_ file: InodeNumber, in directory: InodeNumber) -> Bool {
        let score = score(of: directory)
        set(max(0, score - 1), of: directory)
        if looks.count >= Self.memoryLimit { looks = [:] }
        looks[file] = directory
        return score > 0
    }

    /// A file was opened to be read.
    mutating func opened(_ file: InodeNumber) {
        guard let directory = looks.removeValue(forKey: file) else { return }
        set(min(Self.maximumScore, score(of: directory) + 2), of: directory)
    }

    /// Whether files of a directory are read after each look lately.
    func isReader(of directory: InodeNumber) -> Bool { score(of: directory) >= Self.firstScore * 2 }

    private func score(of directory: InodeNumber) -> Int { scores[directory] ?? latest }

    private mutating func set(_ score: Int, of directory: InodeNumber) {
        if scores.count >= Self.memoryLimit { scores = [:] }
        scores[directory] = score
        latest = score
    }
}
