import Cache
import ObjectStore

/// Single names of directories that were never listed: the store is asked for the one name (``NameProbes``), not for
/// all of them.
extension Lister {
    struct Probing: Sendable {
        var names = NameProbes()
        var underWay: [ProbedName: [Completion]] = [:]
        /// Of directories that are being listed: ``Journal/nextSequence()`` from before the listing began.
        var listings: [InodeNumber: Int64] = [:]
    }

    struct ProbedName: Hashable, Sendable {
        var directory: InodeNumber
        var name: FileName
    }

    /// A question for a name in a directory that was never listed: begins a probe if one is due. Returns how long to
    /// wait for it, by ``find(_:in:then:)``; nil: what is known will do.
    ///
    /// - Parameters:
    ///   - sequence: ``Inode/remoteSequence`` of what is known by that name; nil if nothing is.
    ///   - patience: how long the caller would wait, since the start of a probe, for news of what is known.
    ///   - deadline: how long for a name of which nothing is known.
    public func consult(
        _ name: FileName, in directory: InodeNumber, sequence: Int64?, patience: Duration, deadline: Duration
    ) -> Duration? {
        let now = time.monotonic
        let answer = probing.withLock { probing -> AnswerAge.Advice in
            // The listing under way has brought it.
            if let sequence, let start = probing.listings[directory], sequence > start { return .known }
            return probing.names.ask(
                name, in: directory, hasRow: sequence != nil, at: now, timeToLive: timeToLive, patience: patience,
                deadline: deadline)
        }
        switch answer {
        case .known: return nil
        case .knownAndAsk:
            find(name, in: directory)
            return nil
        case .wait(let limit): return limit
        }
    }

    /// How long what a probe told of a name stays fresh; zero if it is not.
    public func remainingFreshness(of name: FileName, in directory: InodeNumber) -> Duration {
        let now = time.monotonic
        return probing.withLock { $0.names.remaining(name, in: directory, at: now, timeToLive: timeToLive) }
    }

    /// Whether a probe of a name is under way.
    public func isFinding(_ name: FileName, in directory: InodeNumber) -> Bool {
        probing.withLock { $0.underWay[ProbedName(directory: directory, name: name)] != nil }
    }

    /// Asks the store for one name in a directory, or joins a probe under way. Who asks for many names of a directory
    /// has it listed in the background as well.
    ///
    /// Of a name that ends as covered ones do (``FileName/covered``) the object may be that of another name: its
    /// directory is listed instead.
    public func find(
        _ name: FileName, in directory: InodeNumber, then completion: @escaping Completion = { _ in }
    ) {
        guard name.uncovered == nil else { return refresh(directory, then: completion) }
        let probed = ProbedName(directory: directory, name: name)
        let now = time.monotonic
        let (isFirst, isOneOfMany) = probing.withLock { probing in
            defer { probing.underWay[probed, default: []].append(completion) }
            guard probing.underWay[probed] == nil else { return (false, false) }
            return (true, probing.names.began(name, in: directory, at: now))
        }
        guard isFirst else { return }
        if isOneOfMany { _ = consult(directory, patience: .zero) }
        Task {
            let error = await probe(name, in: directory)
            if let error {
                logger.notice(
                    "no answer about a name",
                    metadata: ["ino": "\(directory)", "name": "\(name)", "error": "\(error)"])
            }
            let end = time.monotonic
            let waiting = probing.withLock { probing in
                probing.names.ended(name, in: directory, at: end, isAnswered: error == nil)
                return probing.underWay.removeValue(forKey: probed) ?? []
            }
            for completion in waiting { completion(error) }
        }
    }

    /// A name was made in a directory. Where names were asked for one by one, the directory is listed in the background
    /// from now on: who makes one makes more, without a question then, and lists them without a network.
    public func madeName(in directory: InodeNumber) {
        guard probing.withLock({ $0.names.isAbout(directory) }) else { return }
        _ = consult(directory, patience: .zero)
    }

    /// What was known of a name turned out to be outdated: asks for it anew, for it alone where its directory was never
    /// listed. Who looks for it meanwhile waits for the answer.
    public func renew(
        _ name: FileName, in directory: InodeNumber, then completion: @escaping Completion = { _ in }
    ) {
        do {
            if try journal.read({ try $0.isListed(directory) }) { return refresh(directory, then: completion) }
            probing.withLock { $0.names.doubt(name, in: directory) }
            find(name, in: directory, then: completion)
        } catch {
            completion(failure(error))
        }
    }

    func listingBegins(_ directory: InodeNumber) {
        let start = journal.nextSequence()
        probing.withLock { $0.listings[directory] = start }
    }

    func listingEnded(_ directory: InodeNumber, isComplete: Bool) {
        probing.withLock { probing in
            probing.listings[directory] = nil
            if isComplete { probing.names.forget(directory) }
        }
    }
}

// MARK: Requests

extension Lister {
    private func probe(_ name: FileName, in directory: InodeNumber) async -> StoreError? {
        do {
            guard let prefix = try prefix(of: directory) else { return nil }
            var merge = try merge(directory, prefix)
            let answer = try await ask(for: ObjectKey(prefix + name.string))
            try apply(&merge) { try $0.apply(answer, for: name, in: $1) }
            return nil
        } catch {
            return failure(error)
        }
    }

    private func ask(for key: ObjectKey) async throws(StoreError) -> ProbeAnswer {
        async let object = object(at: key)
        async let below = firstPage(below: key.string + "/")
        do {
            let (object, below) = try await (object, below)
            return ProbeAnswer(
                key: key, object: object.info, hasMetadata: object.hasMetadata,
                isDirectory: !below.objects.isEmpty || !below.commonPrefixes.isEmpty)
        } catch {
            throw failure(error)
        }
    }

    private func object(at key: ObjectKey) async throws(StoreError) -> (info: ObjectInfo?, hasMetadata: Bool) {
        do {
            return (try await store.headIfPresent(key), true)
        } catch  where !error.isTransient && !error.isLinkFailure && error.kind != .cancelled {
            // Who may not read an object, or lacks the key to its bytes, may see it in a listing all the same.
            let page = try await firstPage(below: key.string)
            return (page.objects.first { $0.key == key }, false)
        }
    }

    /// The first page that has a name, and no more than one: a key that is all of `prefix` comes before the others.
    private func firstPage(below prefix: String) async throws(StoreError) -> ListPage {
        var progress = ListingProgress()
        var continuation: String?
        while true {
            let page = try await store.list(prefix: prefix, delimiter: "/", continuation: continuation, limit: 1)
            try progress.take(page)
            guard page.objects.isEmpty, page.commonPrefixes.isEmpty, page.continuation != nil else { return page }
            continuation = page.continuation
        }
    }
}
