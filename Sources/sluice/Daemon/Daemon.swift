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
/// Everything that can be wrong is looked at before anything is created. The end comes by SIGTERM or SIGINT, by a
/// command, by umount(8), or when the kernel cuts the connection; what is not in the bucket then stays in the state
/// directory. After a signal the bucket is brought up to it for `stop_timeout`.
struct Daemon: Sendable {
    let source: SourceURL
    let mountPoint: String
    let settings: Settings
    let environment: [String: String]

    func run() async throws {
        secureProcess()
        let logger = Logger(label: "sluice") { _ in LineLogHandler(level: .info) }
        let termination = try Termination(logger: logger)
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
        try Places(mountPoint: mountPoint, stateDirectory: statePath, bucket: directory).check()
        let disk = try StateDisk(path: statePath)
        let reserve = try disk.reserve(settings.cacheReserve)
        let failure = try await probe(bucket, statePath)
        let engine = try makeEngine(bucket, disk, reserve, failure, logger)
        if disk.available <= reserve { tellOfFullDisk(disk, reserve) }
        for warning in bucket.warnings { Progress.tell("warning: \(warning)") }
        do {
            try await serve(engine, at: mountPoint, options, statePath, bucket.warnings, termination, logger)
        } catch {
            // Its parts are at work already. What went wrong first is what to tell.
            try? await engine.stop()
            throw error
        }
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

    /// The bucket, if it is a directory of this machine.
    private var directory: String? {
        guard case .directory(let path) = source else { return nil }
        return ControlClient.absolute(path)
    }

    /// Nil if the bucket can be used now. As long as it cannot, a state directory that knows it is enough, or the wish
    /// to start without, unless somebody has to put something right first.
    private func probe(_ bucket: Bucket, _ statePath: String) async throws(CommandFailure) -> StoreError? {
        guard let error = await bucket.failure(within: settings.networkTimeout) else { return nil }
        guard error.mayPass && (settings.mountsOffline || StateDirectory.exists(at: statePath)) else {
            let offline = error.mayPass ? "; to write now and send later, mount with -o mount_offline" : ""
            throw CommandFailure(StoreFactory.advice(on: error, source: source) + offline)
        }
        Progress.tell("warning: \(source) cannot be used now (\(error)): mounting from what is known of it")
        return error
    }

    private func tellOfFullDisk(_ disk: StateDisk, _ reserve: Int64) {
        Progress.tell(
            "warning: the disk of \(disk.path) has \(Units.text(bytes: disk.available)) left, less than cache_reserve "
                + "(\(Units.text(bytes: reserve))): writing waits until there is space")
    }

    private func makeEngine(
        _ bucket: Bucket, _ disk: StateDisk, _ reserve: Int64, _ failure: StoreError?, _ logger: Logger
    ) throws(CommandFailure) -> Engine {
        do {
            return try engine(bucket, try StateDirectory(path: disk.path), disk, reserve, failure, logger)
        } catch is CacheError where (try? StateDisk(path: disk.path).isFull) == true {
            throw CommandFailure("the disk of the state directory \(disk.path) is full: free some space")
        } catch CacheError.unusable(let reason) {
            throw CommandFailure(reason)
        } catch {
            throw CommandFailure(
                "the state directory \(disk.path) cannot be used (\(error)): keep it, it may hold the only copy of "
                    + "files (sluice fsck --salvage saves them), and name another --state-dir")
        }
    }

    private func engine(
        _ bucket: Bucket, _ state: StateDirectory, _ disk: StateDisk, _ reserve: Int64, _ failure: StoreError?,
        _ logger: Logger
    ) throws -> Engine {
        let permissions = settings.umask.map { ~$0 } ?? 0o755
        var fileSystem = FileSystemOptions()
        fileSystem.isReadOnly = settings.isReadOnly
        fileSystem.userID = settings.userID
        fileSystem.groupID = settings.groupID
        fileSystem.umask = settings.umask ?? 0
        fileSystem.metadataTimeToLive = settings.metadataTTL
        fileSystem.metadata = settings.metadata
        fileSystem.attributes = settings.attributes
        fileSystem.keyPrefix = source.keyPrefix
        fileSystem.uploadDelay = settings.uploadDelay
        fileSystem.networkDeadline = settings.networkTimeout
        fileSystem.fullWait = settings.fullWait
        fileSystem.controlPath = disk.path
        let defaults = RemoteDefaults(
            filePermissions: 0o644 & permissions, directoryPermissions: 0o755 & permissions, userID: geteuid(),
            groupID: getegid())
        var writeback = WritebackConfiguration(host: ProcessInfo.processInfo.hostName, defaults: defaults)
        writeback.uploadDelay = settings.uploadDelay
        writeback.idleDelay = settings.idleUpload
        writeback.metadata = settings.metadata
        if directory == nil { writeback.conditions = .unknown }
        writeback.concurrency = settings.uploadConcurrency
        return try Engine(
            Engine.Settings(
                fileSystem: fileSystem,
                limits: CacheLimits(limit: settings.cacheLimit ?? disk.total, reserve: reserve),
                journalReserve: disk.journalReserve,
                writeback: writeback,
                defaults: defaults, flushInterval: settings.flushInterval,
                downloadConcurrency: settings.downloadConcurrency,
                startsUnlisted: settings.mountsOffline && failure != nil),
            source: bucket.identity, store: bucket.store, state: state, failure: failure, time: SystemTime(),
            logger: logger)
    }

    private func serve(
        _ engine: Engine, at mountPoint: String, _ options: MountOptions, _ statePath: String, _ warnings: [String],
        _ termination: Termination, _ logger: Logger
    ) async throws {
        sluice_keep_large_memory_apart()
        // What may fail for want of rights or space comes before the mount.
        let log = Launcher.isDaemon(environment) ? try DaemonLog(in: statePath) : nil
        let kernelCache = FuseKernelCache(logger: logger)
        let passthrough = settings.usesPassthrough ? FusePassthrough(logger: logger) : nil
        engine.fileSystem.attach(kernelCache, passthrough: passthrough)
        let session = FuseSession(
            operations: engine.fileSystem, options: options, kernelCache: kernelCache, passthrough: passthrough,
            logger: logger)
        let control = EngineControl(
            engine: engine, source: options.source, mountPoint: mountPoint, stateDirectory: statePath,
            warnings: warnings, passthrough: passthrough,
            onEnd: {
                logger.notice("ending", metadata: ["reason": "sluice unmount"])
                session.stop()
            })
        let server = try listen(in: statePath, control, logger)
        termination.stops(session)
        do { try mount(session, at: mountPoint, termination) } catch {
            server.stop()
            throw error
        }
        log?.redirect()
        logger.notice("mounted", metadata: ["source": "\(source)", "mountpoint": "\(mountPoint)"])
        if !Launcher.reportReady(environment) {
            logger.notice("ending", metadata: ["reason": "the command that started this mount was interrupted"])
            session.stop()
        }
        sluice_release_start_memory()
        let end = await withCheckedContinuation { done in
            Thread.detachNewThread { done.resume(returning: session.join()) }
        }
        logger.notice("unmounted", metadata: ["by": "\(end)"])
        if termination.count > 0, !settings.isReadOnly {
            await FinalDrain(control: control, limit: settings.stopTimeout, logger: logger).run {
                termination.count > 1 || engine.link.condition != .online
            }
        }
        try await engine.stop()
        server.stop()
    }

    private func listen(
        in statePath: String, _ control: EngineControl, _ logger: Logger
    ) throws(CommandFailure) -> ControlServer {
        do {
            return try ControlServer(in: statePath, control: control, time: SystemTime(), logger: logger)
        } catch {
            throw CommandFailure(
                "cannot listen for commands on \(statePath)/\(ControlSocket.name) (\(error)): "
                    + "remove what is there, or name another --state-dir")
        }
    }

    /// After an error nothing is mounted.
    private func mount(
        _ session: FuseSession, at mountPoint: String, _ termination: Termination
    ) throws(CommandFailure) {
        do {
            try session.mount(at: mountPoint)
        } catch {
            throw CommandFailure("\(error)")
        }
        var failure: CommandFailure?
        do { try session.start() } catch { failure = CommandFailure("\(error)") }
        if termination.count > 0 { failure = CommandFailure("ended by a signal before the mount was ready") }
        guard let failure else { return }
        session.stop()
        _ = session.join()
        throw failure
    }
}
