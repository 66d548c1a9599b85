import CLinux

/// A system call that failed, inside the directory store.
struct SystemFault: Error {
    let code: Int32
    let call: String

    /// Performs a call that answers -1 and errno on failure, again as long as signals interrupt it.
    @discardableResult
    static func check<Value: SignedInteger>(_ name: String, _ call: () -> Value) throws(SystemFault) -> Value {
        while true {
            let result = call()
            if result != -1 { return result }
            let code = sluice_errno()
            if code != EINTR { throw SystemFault(code: code, call: name) }
        }
    }

    /// The caller may not do it.
    var isRefusal: Bool { [EACCES, EPERM, EROFS].contains(code) }

    /// No file of this kind there: absent, or something else stands in the way.
    var meansAbsent: Bool {
        switch code {
        case ENOENT, ENOTDIR, ELOOP, EISDIR, ENXIO, ENAMETOOLONG: true
        default: false
        }
    }
}

extension StoreError {
    init(_ fault: SystemFault) {
        let reason = String(cString: strerror(fault.code))
        self.init(
            Self.kind(of: fault.code), code: "errno \(fault.code)",
            message: "the directory store failed in \(fault.call): \(reason)")
    }

    /// A full disk counts as a fault of the store: it may pass, and uploads go on when it does.
    private static func kind(of code: Int32) -> Kind {
        switch code {
        case EACCES, EPERM, EROFS: .accessDenied
        case ENOENT, ENOTDIR: .noSuchBucket
        case ENAMETOOLONG: .invalidKey
        case EFBIG: .tooLarge
        case ENODEV, ENXIO, ENOTCONN, ESTALE, EHOSTDOWN, ETIMEDOUT: .unreachable
        default: .serverFault
        }
    }
}

/// Performs file calls and says their failures in the store's terms.
func performing<Value>(_ body: () throws(SystemFault) -> Value) throws(StoreError) -> Value {
    do {
        return try body()
    } catch {
        throw StoreError(error)
    }
}
