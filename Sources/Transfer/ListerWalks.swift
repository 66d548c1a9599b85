import Cache

// MARK: Listing ahead

extension Lister {
    /// A program opened a directory to read its names; `isListed`: they were known. If it seems to walk a tree, the
    /// directories that it will open next are listed in the background.
    public func opened(_ directory: InodeNumber, isListed: Bool) {
        let isFresh = isListed && remainingFreshness(of: directory) > .zero
        let knowledge: WalkAhead.Knowledge = !isListed ? .unlisted : isFresh ? .fresh : .stale
        do {
            let place = try journal.read { try $0.name(of: directory) }
            guard let step = walks.withLock({ $0.opened(directory, at: place, knowledge) }) else { return }
            let next = try journal.read {
                try $0.unlistedDirectories(in: step.parent, behind: step.name, limit: step.count)
            }
            for directory in walks.withLock({ $0.found(next, for: step) }) { listAhead(directory) }
        } catch {
            logger.warning("cannot list ahead", metadata: ["ino": "\(directory)", "error": "\(error)"])
        }
    }
}
