import CCurl
import Glibc
import ObjectStore
import Synchronization

/// The one thread that runs libcurl's multi interface. It starts transfers handed to it, as many at once as its limits
/// allow and in order, and ends cancelled ones.
final class CurlLoop: Sendable {
    struct Limits: Sendable {
        /// Transfers of each kind under way at once.
        var concurrency: Int
        var connectTimeout: Duration
        var caBundle: String?
    }

    private struct Inbox {
        var submitted: [CurlTransfer] = []
        var cancelled: [CurlTransfer] = []
        var isStopping = false
    }

    private let limits: Limits
    private let multi: CurlMulti
    private let inbox = Mutex(Inbox())

    private static let isReady: Bool = sluice_curl_global_init() == CURLE_OK

    /// Starts the thread. Throws `.localFault`.
    init(_ limits: Limits) throws(StoreError) {
        guard Self.isReady, let multi = CurlMulti(connections: limits.concurrency * 2) else {
            throw StoreError(.localFault, message: "libcurl cannot start")
        }
        self.limits = limits
        self.multi = multi
        try start()
    }

    // MARK: From any thread. The loop is woken under the lock, so that it cannot have ended meanwhile.

    func submit(_ transfer: CurlTransfer) {
        let isStopping = inbox.withLock { inbox in
            guard !inbox.isStopping else { return true }
            inbox.submitted.append(transfer)
            multi.wake()
            return false
        }
        if isStopping { transfer.resume(.failure(Self.stopped)) }
    }

    func cancel(_ transfer: CurlTransfer) {
        transfer.isCancelled.store(true, ordering: .releasing)
        inbox.withLock { inbox in
            guard !inbox.isStopping else { return }
            inbox.cancelled.append(transfer)
            multi.wake()
        }
    }

    /// The thread ends soon; what is under way fails with `.cancelled`.
    func stop() {
        inbox.withLock { inbox in
            guard !inbox.isStopping else { return }
            inbox.isStopping = true
            multi.wake()
        }
    }

    private static let stopped = StoreError(.cancelled, message: "the transport was shut down")

    // MARK: The thread.

    private func start() throws(StoreError) {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self).toOpaque()
        let result = pthread_create(&thread, nil, runLoop, context)
        guard result == 0 else {
            Unmanaged<CurlLoop>.fromOpaque(context).release()
            throw StoreError(.localFault, message: "no thread for the transport (error \(result))")
        }
        pthread_detach(thread)
    }

    fileprivate func run() {
        var schedule = CurlSchedule(multi: multi, limits: limits)
        while true {
            let mail = inbox.withLock { inbox in
                defer { inbox = Inbox(isStopping: inbox.isStopping) }
                return inbox
            }
            schedule.add(mail.submitted)
            schedule.remove(mail.cancelled)
            if mail.isStopping { break }
            schedule.perform()
            if !schedule.hasFinished() { multi.wait() }
        }
        schedule.failAll(Self.stopped)
        multi.close()
    }
}

private func runLoop(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let context { Unmanaged<CurlLoop>.fromOpaque(context).takeRetainedValue().run() }
    return nil
}
