import Cache
import Logging
import ObjectStore
import SystemPackage

/// The one place where failures of the layers below become the errno a program sees.
enum ErrnoMapping {
    static func errno(for error: any Error) -> Errno {
        switch error {
        case let errno as Errno: errno
        case let error as CacheError: errno(for: error)
        case let error as StoreError: errno(for: error)
        default: .ioError
        }
    }

    /// Whether it may pass when there is space.
    static func isForWantOfSpace(_ error: any Error) -> Bool {
        let errno = errno(for: error)
        return errno == .noSpace || errno == .diskQuotaExceeded
    }

    private static func errno(for error: CacheError) -> Errno {
        switch error {
        case .system(let errno, _): errno
        case .noSpace: .noSpace
        case .unusable, .corrupt: .ioError
        }
    }

    private static func errno(for error: StoreError) -> Errno {
        switch error.kind {
        case .notFound: .noSuchFileOrDirectory
        case .preconditionFailed, .invalidRange: .staleNFSFileHandle
        case .accessDenied, .archived: .permissionDenied
        case .tooLarge: .fileTooLarge
        case .invalidKey: .fileNameTooLong
        case .unsupported: .notSupported
        case .cancelled: .interrupted
        case .noSuchBucket, .badCredentials, .noCredentials, .wrongRegion, .clockSkewed, .conflict, .noSuchUpload,
            .invalidPart, .corrupted, .throttled, .serverFault, .unreachable, .untrusted, .badAnswer, .localFault,
            .refused:
            .ioError
        }
    }
}
