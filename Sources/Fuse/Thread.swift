import CLinux
import SystemPackage

/// Threads of the operating system, for what blocks in the kernel: Swift's own pool has one thread for each core.
enum Thread {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Starts a detached thread. `name` has at most 15 bytes.
    static func start(_ name: String, _ run: @escaping @Sendable () -> Void) throws(Errno) {
        let body = Unmanaged.passRetained(
            Body {
                sluice_name_thread(name)
                run()
            }
        )
        var thread = pthread_t()
        let result = pthread_create(&thread, nil, { Thread.main($0) }, body.toOpaque())
        guard result == 0 else {
            body.release()
            throw Errno(rawValue: result)
        }
        pthread_detach(thread)
    }

    private static func main(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
        return nil
    }
}
