import Cache
import ObjectStore
import Platform

// MARK: Starting what is due

extension Writeback {
    /// A file that is open for writing is looked at again after this long, should its close not be reported.
    private static let closePause = Duration.seconds(30)
    /// Parts of a growing file that are worth a flush of their own.
    private static let partsAtOnce: Int64 = 4
    /// A file whose bytes are damaged on this machine does not heal by itself.
    private static let damagePause = Duration.seconds(600)
    /// After a link failure: the link may be back at any moment, and while it is gone nothing is tried.
    private static let linkPause = Duration.seconds(1)
    private static let longestPause = Duration.seconds(60)
    /// Tombstones that wait for files are not gone through more often.
    private static let sweepPause = Duration.milliseconds(250)

    /// Starts everything that is due and sets the timer for what is next. Called after every event.
    func advance() {
        let now = time.monotonic
        let isOffline = link.condition != .online
        state.withLock { state in
            guard state.isStarted, !isOffline else { return }
            let next = startRuns(&state, at: now)
            startSweep(&state, at: now)
            let due = [next, state.sweep.isWanted && state.sweep.task == nil ? state.sweep.notBefore : nil]
            if let due = due.compactMap({ $0 }).min() { setTimer(&state, for: due, at: now) }
        }
    }

    private func startRuns(_ state: inout State, at now: Duration) -> Duration? {
        while true {
            switch state.queue.next(at: now) {
            case .wait(let due): return due
            case .start(let number, let isUrgent):
                state.ticket += 1
                let progress = UploadProgress { [weak self] bytes in self?.sent(bytes, of: number) }
                state.running[number] = Run(
                    task: Task { [weak self] in await self?.run(number, isUrgent: isUrgent, progress) },
                    progress: progress,
                    isUrgent: isUrgent,
                    ticket: state.ticket
                )
            }
        }
    }

    private func startSweep(_ state: inout State, at now: Duration) {
        // The pause spares the journal a look for each of many runs that end one after the other: none comes after the last.
        let isDue = state.sweep.notBefore <= now || state.sweep.isHeld && state.running.isEmpty
        guard state.sweep.isWanted, state.sweep.task == nil, isDue else { return }
        state.sweep.isWanted = false
        state.sweep.task = Task { [weak self] in await self?.sweep() }
    }

    private func setTimer(_ state: inout State, for due: Duration, at now: Duration) {
        if let timer = state.timer, timer.due <= due { return }
        state.timer?.task.cancel()
        let time = time
        state.timer = Timer(
            due: due,
            task: Task { [weak self] in
                do { try await time.sleep(for: due - now) } catch { return }
                self?.timerFired(due)
            }
        )
    }

    private func timerFired(_ due: Duration) {
        state.withLock { state in
            if state.timer?.due == due { state.timer = nil }
        }
        advance()
    }

    private func sent(_ bytes: Int64, of number: InodeNumber) {
        let now = time.monotonic
        state.withLock { state in
            state.rate.add(bytes, at: now)
            if let run = state.running[number] { state.advance.sent(run.progress.status.done, of: number, at: now) }
        }
    }
}

// MARK: One run

extension Writeback {
    private func run(_ number: InodeNumber, isUrgent: Bool, _ progress: UploadProgress) async {
        do {
            let outcome = try await reconciler.reconcile(number, isUrgent: isUrgent, progress: progress)
            ended(number, outcome)
            if outcome == .done { try scheduleFurtherNames(of: number) }
        } catch {
            failed(number, error)
        }
        self.progress.fire()
        advance()
    }

    /// Their objects are copies of the one that is in the bucket now.
    private func scheduleFurtherNames(of number: InodeNumber) throws {
        guard let inode = try journal.inode(number), inode.linkCount > 1 else { return }
        let pending = try journal.read { try $0.aliases(of: number) }.filter { !$0.pending.isEmpty }.map(\.number)
        if !pending.isEmpty { schedule(pending, after: .zero) }
    }

    private func ended(_ number: InodeNumber, _ outcome: Reconciler.Outcome) {
        let now = time.monotonic
        let isGrown = if case .grows(let next) = outcome { hasGrown(number, from: next) } else { false }
        state.withLock { state in
            guard let run = state.running.removeValue(forKey: number) else { return }
            state.failures[number] = nil
            state.sweep.isWanted = true
            switch outcome {
            case .done, .isWritten:
                state.advance.settled(number, at: now)
                if state.drains > 0 { state.reached[number] = run.ticket }
                for blocked in state.blocked.removeValue(forKey: number) ?? [] {
                    state.queue.schedule(blocked, at: now, isUrgent: run.isUrgent)
                }
                if outcome == .done { state.queue.finished(number) }
                if outcome == .isWritten { state.queue.postponed(number, until: now + Self.closePause) }
            case .grows(let next):
                state.growth.sent(number, next: next)
                state.queue.postponed(number, until: isGrown ? now : now + Self.closePause)
            case .waits(let other):
                state.blocked[other, default: []].insert(number)
                state.queue.postponed(number, until: now + Self.closePause)
                state.queue.schedule(other, at: now, isUrgent: true)
            case .follows(let other):
                state.blocked[other, default: []].insert(number)
                state.queue.postponed(number, until: now + Self.closePause)
                let moment = run.isUrgent ? now : now + configuration.uploadDelay
                state.queue.schedule(other, at: moment, isUrgent: run.isUrgent)
            case .unsettled:
                var random = SystemRandom()
                state.queue.failed(number, at: now, using: &random)
            }
        }
    }

    /// Whether so much was written while parts were sent that waiting for the next flush would hold up the link.
    private func hasGrown(_ number: InodeNumber, from size: Int64) -> Bool {
        guard let file = cache.openFile(number) else { return false }
        return (file.version.size - size) / configuration.partSize >= Self.partsAtOnce
    }

    private func failed(_ number: InodeNumber, _ error: any Error) {
        let now = time.monotonic
        let failure = failure(of: number, error)
        let isNews = state.withLock { state in
            state.running[number] = nil
            var random = SystemRandom()
            let pause = isDamage(error) ? Self.damagePause : .zero
            let limit = isLinkFailure(error) ? Self.linkPause : Self.longestPause
            state.queue.failed(number, at: now, atLeast: pause, atMost: max(limit, pause), using: &random)
            guard let failure, state.isStarted else { return false }
            defer { state.failures[number] = failure }
            return state.failures[number] != failure
        }
        guard isNews, let failure else { return }
        logger.error(
            "write-back failed and is tried again",
            metadata: ["path": "\(failure.path)", "error": "\(failure.message)"]
        )
        if isDamage(error) { recordDamage(failure) }
    }

    /// Nil for what says nothing about the file: an end by cancellation, a link that is gone.
    private func failure(of number: InodeNumber, _ error: any Error) -> WritebackStatus.Failure? {
        if error is CancellationError { return nil }
        if isLinkFailure(error) || (error as? StoreError)?.kind == .cancelled { return nil }
        let path = (try? journal.read { try $0.path(of: number) }).flatMap { $0 } ?? "inode \(number)"
        return WritebackStatus.Failure(path: path, message: "\(error)")
    }

    private func isLinkFailure(_ error: any Error) -> Bool { (error as? StoreError)?.isLinkFailure == true }

    private func isDamage(_ error: any Error) -> Bool {
        if case .corrupt? = error as? CacheError { true } else { false }
    }

    private func recordDamage(_ failure: WritebackStatus.Failure) {
        let event = JournalEvent(kind: .error, path: failure.path, message: failure.message, time: time.wall)
        do {
            try journal.write { try $0.record(event) }
        } catch {
            logger.error("recording an event failed", metadata: ["error": "\(error)"])
        }
    }
}

// MARK: Deleting

extension Writeback {
    private static let pageSize = 256

    /// What came of the tombstones of one sweep.
    private struct SweepOutcome {
        var isAnyGone = false
        var isAnyHeld = false
        var failure: (key: ObjectKey?, error: any Error)?

        mutating func add(_ key: ObjectKey, _ result: Result<Reconciler.Burial, any Error>) {
            switch result {
            case .success(.done): isAnyGone = true
            case .success(.waits): isAnyHeld = true
            case .success(.waitsForContents): break
            case .failure(let error): failure = failure ?? (key, error)
            }
        }
    }

    /// Goes through all tombstones once.
    private func sweep() async {
        var outcome = SweepOutcome()
        do {
            try await reconciler.dropAbandonedMultiparts()
            var last: ObjectKey?
            // One page of failures is enough to know.
            while outcome.failure == nil {
                let page = try journal.read { try $0.tombstones(after: last, limit: Self.pageSize).map(\.key) }
                guard !page.isEmpty, !Task.isCancelled else { break }
                last = page.last
                for (key, result) in await bury(page) { outcome.add(key, result) }
            }
        } catch {
            outcome.failure = (nil, error)
        }
        sweepEnded(outcome)
        progress.fire()
        advance()
    }

    private func bury(_ keys: [ObjectKey]) async -> [(ObjectKey, Result<Reconciler.Burial, any Error>)] {
        await withTaskGroup(of: (ObjectKey, Result<Reconciler.Burial, any Error>).self) { group in
            var results: [(ObjectKey, Result<Reconciler.Burial, any Error>)] = []
            for (index, key) in keys.enumerated() {
                if index >= configuration.deleteConcurrency, let result = await group.next() { results.append(result) }
                group.addTask { [reconciler] in
                    do { return (key, .success(try await reconciler.bury(key))) } catch {
                        return (key, .failure(error))
                    }
                }
            }
            for await result in group { results.append(result) }
            return results
        }
    }

    private func sweepEnded(_ outcome: SweepOutcome) {
        let now = time.monotonic
        state.withLock { state in
            state.sweep.task = nil
            guard let failure = outcome.failure else {
                state.sweep.failure = nil
                state.sweep.backoff.reset()
                state.sweep.isHeld = outcome.isAnyHeld
                state.sweep.notBefore = outcome.isAnyHeld ? now + Self.sweepPause : now
                // What is gone may let a directory go. What is left of contents waits for files; the end of their runs asks
                // for the next sweep.
                if outcome.isAnyGone { state.sweep.isWanted = true }
                return
            }
            var random = SystemRandom()
            state.sweep.isWanted = true
            let isLinkFailure = isLinkFailure(failure.error)
            state.sweep.isHeld = false
            let wait = state.sweep.backoff.next(using: &random)
            state.sweep.notBefore = now + (isLinkFailure ? min(wait, Self.linkPause) : wait)
            let error = failure.error as? StoreError
            if isLinkFailure || error?.kind == .cancelled || failure.error is CancellationError { return }
            state.sweep.failure = WritebackStatus.Failure(
                path: failure.key?.string ?? "",
                message: "deleting: \(failure.error)"
            )
        }
    }
}
