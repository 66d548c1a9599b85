import CCurl
import Glibc

/// libcurl's multi handle.
///
/// SAFETY: `wake` may be called from any thread (curl_multi_wakeup(3)); everything else is called by the loop's thread
/// alone, `close` last, when nobody can call `wake` any more.
final class CurlMulti: @unchecked Sendable {
    private let pointer: UnsafeMutableRawPointer

    /// - Parameter connections: idle connections that are kept open for later.
    init?(connections: Int) {
        guard let pointer = curl_multi_init() else { return nil }
        self.pointer = pointer
        _ = sluice_curl_multi_set_long(pointer, CURLMOPT_MAXCONNECTS, connections)
    }

    func wake() { curl_multi_wakeup(pointer) }

    func add(_ handle: CurlHandle) -> Bool { curl_multi_add_handle(pointer, handle.pointer) == CURLM_OK }

    func remove(_ handle: UnsafeMutableRawPointer) { curl_multi_remove_handle(pointer, handle) }

    func perform() {
        var running: Int32 = 0
        curl_multi_perform(pointer, &running)
    }

    /// Until a socket is ready, one of libcurl's timers runs out, or ``wake()``. Libcurl looks at its own timers; the
    /// bound only matters if there are none. A poll that cannot work must not become a busy loop.
    func wait() {
        if curl_multi_poll(pointer, nil, 0, 60_000, nil) != CURLM_OK { usleep(10_000) }
    }

    /// The next transfer that ended, and how.
    func nextFinished() -> (handle: UnsafeMutableRawPointer, transfer: CurlTransfer, code: CURLcode)? {
        var handle: UnsafeMutableRawPointer?
        var context: UnsafeMutableRawPointer?
        var code = CURLE_OK
        guard sluice_curl_next_done(pointer, &handle, &context, &code), let handle, let context else { return nil }
        return (handle, Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue(), code)
    }

    func close() { curl_multi_cleanup(pointer) }
}
