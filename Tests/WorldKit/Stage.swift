import CLinux
import Cache
import TestKit

/// Where the calls of programs go.
enum Stage: String, CaseIterable, Sendable {
    /// Straight to the file system.
    case layer
    /// The same, and a simulated kernel moves bytes past it where it may.
    case passthrough
    /// Through the kernel and a mount.
    case mount

    /// Who makes files.
    var owner: (user: UInt32, group: UInt32) { self == .mount ? (geteuid(), getegid()) : (1000, 1000) }

    /// Whether files may be given to other users: the kernel asks for the right to do so.
    var mayGiveAway: Bool { self != .mount || geteuid() == 0 }

    /// Whether `..` of the root is the root: of a mount it is the directory around it.
    var isClosed: Bool { self != .mount }

    /// Of data files: bytes go past the file system only where there is much room, whatever the disk of the tests has.
    var limits: CacheLimits {
        self == .passthrough ? CacheLimits(limit: 1 << 50, reserve: -(1 << 50)) : World.defaultLimits
    }

    /// Runs a body with a world and the way into it; a mount is over when this returns.
    func run(
        _ world: World? = nil, _ body: (World, any PosixCalls) async throws -> Void
    ) async throws {
        let scene = try Scene(world ?? World(limits: limits), self)
        do {
            try await body(scene.world, scene.calls)
        } catch {
            await scene.end()
            throw error
        }
        await scene.end()
    }
}

/// A world with a way for programs into it.
final class Scene: Sendable {
    let world: World
    let calls: any PosixCalls
    private let mount: WorldMount?

    init(_ world: World, _ stage: Stage) throws {
        self.world = world
        switch stage {
        case .layer:
            mount = nil
            calls = LayerCalls(world.driver)
        case .passthrough:
            let kernel = SimulatedKernel(time: world.time)
            world.fileSystem.attach(kernel, passthrough: kernel)
            mount = nil
            calls = LayerCalls(world.driver, kernel: kernel)
        case .mount:
            let mount = try WorldMount(world.fileSystem)
            self.mount = mount
            calls = MountCalls(root: mount.path)
        }
    }

    /// Takes the mount away; the world stays.
    func end() async {
        await mount?.end()
    }
}
