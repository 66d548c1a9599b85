/// How many threads take requests: enough that one always waits for the next request while others sit in fsync,
/// and few when little happens, because the kernel hands requests to waiting threads in turn and each has its own
/// buffers to warm up.
struct WorkerCount: Equatable {
    /// At the bound requests wait in the kernel; handlers wait for the local disk at most.
    static let maximum = 16
    static let maximumIdle = 2

    private(set) var running = 0
    private(set) var idle = 0

    /// A thread starts to wait for requests.
    mutating func started() {
        running += 1
        idle += 1
    }

    /// A thread took a request. Returns whether another one must be started to wait in its place.
    mutating func taken() -> Bool {
        idle -= 1
        return idle == 0 && running < Self.maximum
    }

    /// A thread is done with its request. Returns whether it goes on; else it counts as ended.
    mutating func finished() -> Bool {
        guard idle < Self.maximumIdle else {
            running -= 1
            return false
        }
        idle += 1
        return true
    }

    /// A waiting thread ended.
    mutating func ended() {
        running -= 1
        idle -= 1
    }
}
