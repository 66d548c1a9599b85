/// How many threads take requests: enough that one always waits for the next request while others sit in fsync,
/// and few when little happens, because the kernel hands requests to waiting threads in turn and each has its own
/// buffers to warm up.
struct WorkerCount: Equatable {
    /// At the bound requests wait in the kernel; handlers wait for the local disk at most.
    static let maximum = 16
    static let maximumIdle = 2
    /// A thread more than that stays until so many requests were done without need of it: one that takes its place costs
    /// more than a small request.
    static let patience = 256

    private(set) var running = 0
    private(set) var idle = 0
    /// Requests that were done, since a thread was last missing, while more than the idle ones waited.
    private var unneeded = 0

    /// A thread starts to wait for requests.
    mutating func started() {
        running += 1
        idle += 1
    }

    /// A thread took a request. Returns whether another one must be started to wait in its place.
    mutating func taken() -> Bool {
        idle -= 1
        guard idle == 0 else { return false }
        unneeded = 0
        return running < Self.maximum
    }

    /// A thread is done with its request. Returns whether it goes on; else it counts as ended.
    mutating func finished() -> Bool {
        if idle >= Self.maximumIdle {
            unneeded += 1
            guard unneeded < Self.patience else {
                unneeded = 0
                running -= 1
                return false
            }
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
