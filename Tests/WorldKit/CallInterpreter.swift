import TestKit

import struct SystemPackage.Errno

/// Carries calls out in a world and keeps the descriptors of their slots.
struct CallInterpreter {
    private var calls: any PosixCalls
    private var slots: [Int: OpenDescriptor] = [:]

    init(_ calls: any PosixCalls) {
        self.calls = calls
    }

    mutating func perform(_ call: FileSystemCall) async -> CallOutcome {
        switch call {
        case .open(let slot, let path, let flags, let mode):
            _ = await close(slot)
            let calls = calls
            do {
                slots[slot] = try await calls.open(path, flags, mode)
                return .done
            } catch {
                return .failed(error as? Errno ?? .ioError)
            }
        case .close(let slot): return await close(slot)
        default: return await Self.outcome(of: call, calls, slots)
        }
    }

    private mutating func close(_ slot: Int) async -> CallOutcome {
        guard let file = slots.removeValue(forKey: slot) else { return .failed(.badFileDescriptor) }
        let calls = calls
        return await Self.outcome {
            try await calls.close(file)
            return .done
        }
    }

    mutating func closeAll() async {
        for slot in slots.keys.sorted() { _ = await close(slot) }
    }

    static func outcome(_ body: () async throws -> CallOutcome) async -> CallOutcome {
        do {
            return try await body()
        } catch {
            return .failed(error as? Errno ?? .ioError)
        }
    }

    /// Of a call that opens and closes nothing.
    static func outcome(
        of call: FileSystemCall, _ calls: any PosixCalls, _ slots: [Int: OpenDescriptor] = [:]
    ) async -> CallOutcome {
        await outcome { try await answer(call, calls, slots) }
    }

    private static func answer(
        _ call: FileSystemCall, _ calls: any PosixCalls, _ slots: [Int: OpenDescriptor]
    ) async throws -> CallOutcome {
        func file(_ slot: Int) throws -> OpenDescriptor {
            guard let file = slots[slot] else { throw Errno.badFileDescriptor }
            return file
        }
        switch call {
        case .open, .close: break
        case .read(let slot, let offset, let count):
            return .bytes(try await calls.read(file(slot), at: offset, count: count))
        case .write(let slot, let offset, let text):
            return .count(try await calls.write(file(slot), at: offset, Array(text.utf8)))
        case .resize(let slot, let size): try await calls.resize(file(slot), to: size)
        case .allocate(let slot, let offset, let length, let allocation):
            try await calls.allocate(file(slot), at: offset, length: length, allocation)
        case .synchronize(let slot, let dataOnly): try await calls.synchronize(file(slot), dataOnly: dataOnly)
        case .status(let slot): return .status(try await calls.status(file(slot)))
        case .truncate(let path, let size): try await calls.truncate(path, to: size)
        case .stat(let path): return .status(try await calls.status(path))
        case .makeDirectory(let path, let mode): try await calls.makeDirectory(path, mode)
        case .removeDirectory(let path): try await calls.removeDirectory(path)
        case .unlink(let path): try await calls.unlink(path)
        case .rename(let path, let newPath, let rule): try await calls.rename(path, to: newPath, rule)
        case .link(let path, let newPath): try await calls.link(path, to: newPath)
        case .makeSocket(let path, let mode): try await calls.makeSocket(path, mode)
        case .symlink(let path, let target): try await calls.makeLink(path, to: target)
        case .readLink(let path): return .text(try await calls.readLink(path))
        case .chmod(let path, let mode): try await calls.chmod(path, mode)
        case .chown(let path, let user, let group): try await calls.chown(path, user: user, group: group)
        case .setModified(let path, let seconds, let nanoseconds):
            try await calls.setModified(path, seconds: seconds, nanoseconds: nanoseconds)
        case .setAttribute(let path, let name, let value, let rule):
            try await calls.setAttribute(path, name, to: Array(value.utf8), rule)
        case .attribute(let path, let name): return .bytes(try await calls.attribute(path, name))
        case .removeAttribute(let path, let name): try await calls.removeAttribute(path, name)
        case .attributeNames(let path): return .names(try await calls.attributeNames(path))
        case .list(let path): return .names(try await calls.list(path))
        }
        return .done
    }
}
