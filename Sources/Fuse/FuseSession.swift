import CFuse
import CLinux
import Cache
import FileSystem
import Logging
import Synchronization
import SystemPackage

/// A file system mounted on a directory: from the mount to its end.
///
/// `mount(at:)`, then `start()`, then `join()`, each once; `stop()` at any time from any thread.
public final class FuseSession: Sendable {
    public enum End: Equatable, Sendable {
        /// By ``stop()``.
        case stopped
        /// By umount(8), or because the kernel cut the connection.
        case unmounted
    }

    private struct State {
        var session: SessionPointer?
        var workers: RequestWorkers?
        var isStopped = false
    }

    let operations: any FileSystemOperations
    let logger: Logger
    let parked = ParkedReplies()
    private let options: MountOptions
    private let kernelCache: FuseKernelCache
    private let passthrough: FusePassthrough?
    private let state = Mutex(State())

    /// `kernelCache` and `passthrough` are those that `operations` was given; the session makes them work.
    public init(
        operations: any FileSystemOperations,
        options: MountOptions,
        kernelCache: FuseKernelCache,
        passthrough: FusePassthrough? = nil,
        logger: Logger
    ) {
        self.operations = operations
        self.options = options
        self.kernelCache = kernelCache
        self.passthrough = passthrough
        self.logger = logger
    }

    /// The version of libfuse that runs.
    public static var libraryVersion: String { String(cString: fuse_pkgversion()) }

    /// Throws what this machine lacks for any mount.
    public static func checkSystem(_ options: MountOptions) throws(FuseError) {
        try MountPoint.checkSystem(options)
    }

    /// Throws what would keep ``mount(at:)`` from mounting; changes nothing.
    public static func check(mountPoint: String, options: MountOptions) throws(FuseError) {
        _ = try MountPoint(checking: mountPoint, options: options)
    }

    /// Mounts and agrees with the kernel on the protocol. From then on requests wait for ``start()``.
    ///
    /// After an error nothing is mounted.
    public func mount(at path: String) throws(FuseError) {
        let mountPoint = try MountPoint(checking: path, options: options)
        FuseLog.send(to: logger)
        let session = try makeSession()
        do throws(FuseError) {
            try mount(session, at: mountPoint)
            let exchange = InitExchange(session: session, wantsPassthrough: passthrough != nil)
            let isOffered: Bool
            do { isOffered = try exchange.perform() } catch { throw .handshake(error) }
            passthrough?.attach(session, isOffered: isOffered)
        } catch {
            passthrough?.detach()
            fuse_session_unmount(session.raw)
            fuse_session_destroy(session.raw)
            throw error
        }
        ReadAhead.raise(for: mountPoint.path, logger: logger)
        kernelCache.attach(session)
        state.withLock { state in
            state.session = session
            state.workers = RequestWorkers(session: session, logger: logger)
        }
    }

    /// Starts to answer requests.
    public func start() throws(FuseError) {
        guard let workers = state.withLock({ $0.isStopped ? nil : $0.workers }) else { return }
        do { try workers.start() } catch { throw .thread(error) }
    }

    /// Ends the session: requests already taken are answered, then ``join()`` unmounts. Returns at once.
    public func stop() {
        let workers = state.withLock { state in
            state.isStopped = true
            return state.workers
        }
        workers?.stop()
    }

    /// Waits until the session has ended, cleans up and says how it ended. Open handles are not released one by one.
    public func join() -> End {
        let (session, workers) = state.withLock { ($0.session, $0.workers) }
        guard let session, let workers else { return .stopped }
        workers.wait()
        let isStopped = state.withLock { state in
            state.session = nil
            state.workers = nil
            return state.isStopped
        }
        parked.abandonAll()
        let isQuiet = kernelCache.detach()
        passthrough?.detach()
        fuse_session_unmount(session.raw)
        if isQuiet { fuse_session_destroy(session.raw) }
        return isStopped ? .stopped : .unmounted
    }

    private func makeSession() throws(FuseError) -> SessionPointer {
        var table = OperationTable.make()
        FuseLog.capture()
        let raw = options.withArguments { arguments in
            sluice_fuse_session_new(arguments, &table, Unmanaged.passUnretained(self).toOpaque())
        }
        let detail = FuseLog.takeCaptured()
        guard let raw else { throw .badOptions(detail: detail) }
        return SessionPointer(raw: raw)
    }

    private func mount(_ session: SessionPointer, at mountPoint: MountPoint) throws(FuseError) {
        FuseLog.capture()
        let result = fuse_session_mount(session.raw, mountPoint.path)
        let detail = FuseLog.takeCaptured()
        guard result == 0 else {
            throw .mountRefused(mountPoint.path, detail: detail.isEmpty ? "see the messages above" : detail)
        }
    }

    /// Runs an operation that may have to wait for the network.
    ///
    /// `send` says whether the kernel took the value; `giveBack` undoes what a value that it did not take stands for.
    func answerLater<Value: Sendable>(
        _ request: KernelRequest,
        send: @escaping @Sendable (consuming RequestReply, Result<Value, Errno>) -> Bool,
        giveBack: @escaping @Sendable (Value) -> Void = { _ in },
        operation: (@escaping Reply<Value>) -> (any PendingOperation)?
    ) {
        let reply = DeferredReply(request, parked: parked, send: send, giveBack: giveBack)
        parked.watch(request)
        if let pending = operation({ reply.answer($0) }) { reply.park(pending) }
    }

    /// Runs a local operation when the attributes of an inode are known. `name`: of the one extended attribute that it is
    /// about.
    func answerKnowing(
        _ inode: InodeNumber,
        extended name: String? = nil,
        _ request: KernelRequest,
        _ operation: @escaping @Sendable (consuming RequestReply) -> Void
    ) {
        answerLater(
            request,
            send: { reply, result in
                switch result {
                case .success: operation(reply)
                case .failure(let errno): reply.fail(errno)
                }
                return true
            },
            operation: { operations.awaitAttributes(of: inode, forExtended: name, reply: $0) }
        )
    }

    /// Runs a local operation whose answer carries nothing.
    func answer(_ request: KernelRequest, _ operation: () throws(Errno) -> Void) {
        RequestReply(request).outcome(operation)
    }

    /// A name as the kernel passes it; answers the request if no file can have it.
    func withName(_ raw: UnsafePointer<CChar>, _ request: KernelRequest, _ body: (FileName) -> Void) {
        switch Result(catching: { () throws(Errno) in try FileName(kernelName: raw) }) {
        case .success(let name): body(name)
        case .failure(let errno): RequestReply(request).fail(errno)
        }
    }
}

/// The bytes of a string of C without its NUL. Valid as long as the string.
func kernelBytes(of raw: UnsafePointer<CChar>) -> UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(start: UnsafeRawPointer(raw).assumingMemoryBound(to: UInt8.self), count: strlen(raw))
}

/// Text as the bytes that programs use, with a NUL behind them.
func kernelString(_ text: String) -> [CChar] {
    let bytes = ByteText.decode(text)
    return [CChar](unsafeUninitializedCapacity: bytes.count + 1) { memory, count in
        for byte in bytes {
            memory.initializeElement(at: count, to: CChar(bitPattern: byte))
            count += 1
        }
        memory.initializeElement(at: count, to: 0)
        count += 1
    }
}

extension FileName {
    /// Throws ENAMETOOLONG, EINVAL.
    init(kernelName raw: UnsafePointer<CChar>) throws(Errno) {
        let bytes = kernelBytes(of: raw)
        guard bytes.count <= Self.maximumLength else { throw .fileNameTooLong }
        guard let name = FileName(bytes: bytes) else { throw .invalidArgument }
        self = name
    }
}
