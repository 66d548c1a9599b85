import Logging
import Platform

/// Brings the bucket up to date before the daemon ends, for a bounded time; the rest is for the next mount.
struct FinalDrain: Sendable {
    /// How soon a link that goes, or an impatient signal, is noticed.
    private static let pause = Duration.milliseconds(100)

    let control: any MountControl
    let limit: Duration
    let logger: Logger
    var time: any TimeSource = SystemTime()

    /// Returns when all is in the bucket, the time is over, or `isPointless` says so.
    func run(until isPointless: @escaping @Sendable () -> Bool) async {
        guard let before = try? control.remainder(""), !before.isNothing else { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                do { try await control.drain("") } catch {
                    logger.debug("the last drain ended", metadata: ["error": "\(error)"])
                }
            }
            group.addTask { [end = time.monotonic + limit] in
                while time.monotonic < end, !isPointless() {
                    do { try await time.sleep(for: Self.pause) } catch { return }
                }
            }
            await group.next()
            group.cancelAll()
        }
        guard let left = try? control.remainder(""), !left.isNothing else { return }
        logger.notice("not in the bucket yet: safe in the state directory", metadata: ["left": "\(left.text)"])
    }
}
