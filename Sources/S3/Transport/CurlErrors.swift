import CCurl
import ObjectStore

extension StoreError {
    /// What a failure of libcurl means for the caller. `detail` is libcurl's sentence, empty if it had none.
    init(_ code: CURLcode, detail: String) {
        let text = detail.isEmpty ? String(cString: curl_easy_strerror(code)) : detail
        self.init(Self.kind(of: code), message: text)
    }

    private static func kind(of code: CURLcode) -> Kind {
        switch code {
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR,
            CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_PINNEDPUBKEYNOTMATCH:
            .untrusted
        case CURLE_WRITE_ERROR, CURLE_READ_ERROR, CURLE_ABORTED_BY_CALLBACK, CURLE_OUT_OF_MEMORY,
            CURLE_BAD_FUNCTION_ARGUMENT, CURLE_FAILED_INIT, CURLE_SSL_ENGINE_NOTFOUND, CURLE_NOT_BUILT_IN:
            .localFault
        case CURLE_URL_MALFORMAT: .refused
        // Other protocols are never asked for; libcurl says so when what came is no HTTP.
        case CURLE_WEIRD_SERVER_REPLY, CURLE_UNSUPPORTED_PROTOCOL, CURLE_BAD_CONTENT_ENCODING: .badAnswer
        default: .unreachable
        }
    }
}
