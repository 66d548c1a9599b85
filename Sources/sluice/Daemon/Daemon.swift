import CLinux
import Cache
import FileSystem
import Foundation
import Fuse
import Logging
import ObjectStore
import Platform
import Transfer

/// One mount from its checks to its end, in this process.
///
/// Everything that can be wrong is looked at before anything is created. The end comes by SIGTERM or SIGINT, by
/// umount(8), or when the kernel cuts the connection; what is not in the bucket then stays in the state directory.
struct Daemon: Sendable {
    let source: SourceURL
    let mountPoint: String
    let settings: Settings
    let environment: [String: String]

    func run() async throws {
        secureProcess()
        let logger = Logger(label: "sluice") { _ in LineLogHandler(level: .info) }
        let mountPoint = ControlClient.absolute(mountPoint)
        let options = MountOptions(
            source: "\(source)", allowOther: settings.allowsOthers, readOnly: settings.isReadOnly)
        do { try FuseSession.check(mountPoint: mountPoint, options: options) } catch {
            throw CommandFailure("\(error)")
        }
        let bucket = try StoreFactory.bucket(source, settings: settings, environment: environment, logger: logger)
        let statePath =
            settings.stateDirectory.map(ControlClient.absolute)
            ?? StatePath.path(for: bucket.identity, environment: environment, isRoot: geteuid() == 0)
        let failure = try await probe(bucket, statePath)
        let engine = try makeEngine(bucket, statePath, failure, logger)
        for warning in bucket.warnings { warn(warning) }
        try await serve(engine, at: mountPoint, options, statePath, logger)
    }

    /// Keys are in memory: no core files, no looks by other processes of the user.
    private func secureProcess() {
        umask(0o077)
        _ = sluice_set_undumpable()
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
        var files = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
        files.rlim_cur = files.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
    }

    private func warn(_ text: String) {
        FileHandle.standardError.write(Data("sluice: warning: \(text)\n".utf8))
    }

    /// Whether the bucket can be used now. Without a way to it, a state directory that knows it is enough.
    private func probe(_ bucket: Bucket, _ statePath: String) async throws(CommandFailure) -> StoreError? {
        do {
            try await bucket.probe()
            return nil
        } catch {
            let passes = error.kind == .unreachable || error.kind == .noCredentials
            guard passes && StateDirectory.exists(at: statePath) else {
                throw CommandFailure(StoreFactory.advice(on: error, source: source))
            }
            warn("\(source) cannot be reached now (\(error.message)): mounting from what is known of it")
            return error
        }
    }

    private func makeEngine(
        _ bucket: Bucket, _ statePath: String, _ failure: StoreError?, _ logger: Logger
    ) throws -> Engine {
        let state = try StateDirectory(path: statePath)
        let space = try state.disk.space()
        let permissions = settings.umask.map { ~$0 } ?? 0o755
        var fileSystem = FileSystemOptions()
        fileSystem.isReadOnly = settings.isReadOnly
        fileSystem.userID = settings.userID
        fileSystem.groupID = settings.groupID
        fileSystem.umask = settings.umask ?? 0
        fileSystem.metadataTimeToLive = settings.metadataTTL
        fileSystem.uploadDelay = settings.uploadDelay
        fileSystem.networkDeadline = settings.networkTimeout
        fileSystem.controlPath = statePath
        var writeback = WritebackConfiguration(host: ProcessInfo.processInfo.hostName)
        writeback.uploadDelay = settings.uploadDelay
        writeback.concurrency = settings.uploadConcurrency
        return try Engine(
            Engine.Settings(
                fileSystem: fileSystem,
                limits: CacheLimits(
                    limit: settings.cacheLimit ?? space.total,
                    reserve: settings.cacheReserve ?? min(2 << 30, space.total / 10)),
                writeback: writeback,
                defaults: RemoteDefaults(
                    filePermissions: 0o644 & permissions, directoryPermissions: 0o755 & permissions,
                    userID: geteuid(), groupID: getegid()),
                flushInterval: settings.flushInterval, downloadConcurrency: settings.downloadConcurrency),
            source: bucket.identity, store: bucket.store, state: state, failure: failure, time: SystemTime(),
            logger: logger)
    }

    private func serve(
        _ engine: Engine, at mountPoint: String, _ options: MountOptions, _ statePath: String, _ logger: Logger
    ) async throws {
        let kernelCache = FuseKernelCache(logger: logger)
        engine.fileSystem.attach(kernelCache)
        let session = FuseSession(
            operations: engine.fileSystem, options: options, kernelCache: kernelCache, logger: logger)
        try TerminationSignals.wait { signal in
            logger.notice("ending", metadata: ["signal": "\(signal)"])
            session.stop()
        }
        let control = EngineControl(
            engine: engine, source: options.source, mountPoint: mountPoint, stateDirectory: statePath)
        let server = try ControlServer(in: statePath, control: control, time: SystemTime(), logger: logger)
        do {
            try session.mount(at: mountPoint)
            try session.start()
        } catch {
            throw CommandFailure("\(error)")
        }
        if Launcher.isDaemon(environment) { try DaemonLog.redirect(to: statePath) }
        logger.notice("mounted", metadata: ["source": "\(source)", "mountpoint": "\(mountPoint)"])
        Launcher.reportReady(environment)
        let end = await withCheckedContinuation { done in
            Thread.detachNewThread { done.resume(returning: session.join()) }
        }
        logger.notice("unmounted", metadata: ["by": "\(end)"])
        try await engine.stop()
        server.stop()
    }
}
