import CCurl
import ObjectStore

/// What the loop's thread holds: transfers that wait, transfers under way, and easy handles to use again.
struct CurlSchedule {
    /// Bodies and small requests do not wait for each other.
    private struct Lane {
        var waiting: [CurlTransfer] = []
        var active = 0
    }

    private let multi: CurlMulti
    private let limits: CurlLoop.Limits
    private var bulk = Lane()
    private var control = Lane()
    private var active: [ObjectIdentifier: (handle: UnsafeMutableRawPointer, transfer: CurlTransfer)] = [:]
    private var idle: [UnsafeMutableRawPointer] = []

    init(multi: CurlMulti, limits: CurlLoop.Limits) {
        self.multi = multi
        self.limits = limits
    }

    mutating func add(_ transfers: [CurlTransfer]) {
        for transfer in transfers {
            transfer.request.isBulk ? bulk.waiting.append(transfer) : control.waiting.append(transfer)
        }
        startWaiting()
    }

    mutating func remove(_ transfers: [CurlTransfer]) {
        for transfer in transfers {
            guard let entry = active[ObjectIdentifier(transfer)] else { continue }
            finish(entry.handle, entry.transfer, .failure(Self.cancelled))
        }
        let gone = { (transfer: CurlTransfer) in transfer.isCancelled.load(ordering: .acquiring) }
        for transfer in (bulk.waiting + control.waiting).filter(gone) { transfer.resume(.failure(Self.cancelled)) }
        bulk.waiting.removeAll(where: gone)
        control.waiting.removeAll(where: gone)
        startWaiting()
    }

    func perform() { multi.perform() }

    /// Answers what ended and starts what waited for its place; whether there was anything.
    mutating func hasFinished() -> Bool {
        var any = false
        while let (handle, transfer, code) = multi.nextFinished() {
            finish(handle, transfer, transfer.outcome(code))
            any = true
        }
        if any { startWaiting() }
        return any
    }

    mutating func failAll(_ error: StoreError) {
        for entry in active.values { finish(entry.handle, entry.transfer, .failure(error)) }
        for transfer in bulk.waiting + control.waiting { transfer.resume(.failure(error)) }
        for handle in idle { curl_easy_cleanup(handle) }
        idle = []
    }

    private static let cancelled = StoreError(.cancelled, message: "cancelled")

    private mutating func startWaiting() {
        while bulk.active < limits.concurrency, !bulk.waiting.isEmpty { start(bulk.waiting.removeFirst()) }
        while control.active < limits.concurrency, !control.waiting.isEmpty { start(control.waiting.removeFirst()) }
    }

    private mutating func start(_ transfer: CurlTransfer) {
        guard !transfer.isCancelled.load(ordering: .acquiring) else {
            return transfer.resume(.failure(Self.cancelled))
        }
        guard var handle = idle.popLast().map(CurlHandle.init(reusing:)) ?? CurlHandle() else {
            return transfer.resume(.failure(StoreError(CURLE_OUT_OF_MEMORY, detail: "")))
        }
        handle.configure(for: transfer, limits)
        if let failure = handle.failure {
            idle.append(handle.pointer)
            return transfer.resume(.failure(StoreError(failure, detail: String(cString: transfer.errorText))))
        }
        guard multi.add(handle) else {
            curl_easy_cleanup(handle.pointer)
            return transfer.resume(.failure(StoreError(CURLE_OUT_OF_MEMORY, detail: "")))
        }
        active[ObjectIdentifier(transfer)] = (handle.pointer, transfer)
        count(transfer, 1)
    }

    private mutating func finish(
        _ handle: UnsafeMutableRawPointer,
        _ transfer: CurlTransfer,
        _ result: Result<HTTPResponse, StoreError>
    ) {
        multi.remove(handle)
        // libcurl 7.88 leaves a handle whose host name had no address with a buffer that refuses CURLOPT_BUFFERSIZE.
        if case .success = result { idle.append(handle) } else { curl_easy_cleanup(handle) }
        active[ObjectIdentifier(transfer)] = nil
        count(transfer, -1)
        transfer.resume(result)
    }

    private mutating func count(_ transfer: CurlTransfer, _ change: Int) {
        if transfer.request.isBulk { bulk.active += change } else { control.active += change }
    }
}
