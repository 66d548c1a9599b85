import CCurl
import Glibc

extension CurlHandle {
    /// Room for what is read from or written to a socket at once. libcurl takes it anew for each request: with more of it,
    /// the kernel's work for new pages is more than the calls that it saves. Bytes.
    private static let bufferSize = 64 << 10

    /// A body below this size is sent at once. For a larger one, the store is asked first (Expect: 100-continue): a
    /// refusal then costs a round trip, not the body, and is not lost when the store closes the connection. Bytes.
    private static let expectThreshold: Int64 = 1 << 20

    /// Everything libcurl needs to know of a request. The transfer outlives its use of this handle.
    mutating func configure(for transfer: CurlTransfer, _ limits: CurlLoop.Limits) {
        let request = transfer.request
        set(CURLOPT_URL, request.url)
        set(CURLOPT_PATH_AS_IS, 1)
        setConnection(limits, stall: request.stallTimeout)
        setTrust(limits)
        // No environment variable sends these through a proxy: secrets of the machine itself are told there.
        if ProxyExemption.covers(request.url) { set(CURLOPT_PROXY, "") }
        setRequestLimits(request)
        setMethod(request)
        setHeaders(transfer)
        note(sluice_curl_set_error_buffer(pointer, transfer.errorText))
        note(
            sluice_curl_set_callbacks(
                pointer,
                onHeader,
                onBody,
                onSend,
                onSeek,
                Unmanaged.passUnretained(transfer).toOpaque()
            )
        )
    }

    private mutating func setConnection(_ limits: CurlLoop.Limits, stall: Duration) {
        note(sluice_curl_set_protocols(pointer))
        note(sluice_curl_set_quick_exit(pointer))
        set(CURLOPT_USERAGENT, "sluice")
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_TCP_KEEPALIVE, 1)
        set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2TLS))
        set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        set(CURLOPT_BUFFERSIZE, Self.bufferSize)
        set(CURLOPT_UPLOAD_BUFFERSIZE, Self.bufferSize)
        set(CURLOPT_CONNECTTIMEOUT_MS, limits.connectTimeout.milliseconds)
        set(CURLOPT_LOW_SPEED_LIMIT, 1)
        set(CURLOPT_LOW_SPEED_TIME, max(1, (stall.milliseconds + 999) / 1000))
    }

    /// Certificates and host names are verified always, and no answer sends a signed request elsewhere.
    private mutating func setTrust(_ limits: CurlLoop.Limits) {
        set(CURLOPT_SSL_VERIFYPEER, 1)
        set(CURLOPT_SSL_VERIFYHOST, 2)
        set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        set(CURLOPT_FOLLOWLOCATION, 0)
        guard let bundle = limits.caBundle else { return }
        set(CURLOPT_CAINFO, bundle)
        // Else the authorities of the system would count beside it.
        note(sluice_curl_set_string(pointer, CURLOPT_CAPATH, nil))
    }

    private mutating func setRequestLimits(_ request: HTTPRequest) {
        if let timeout = request.connectTimeout { set(CURLOPT_CONNECTTIMEOUT_MS, timeout.milliseconds) }
        if let timeout = request.totalTimeout { set(CURLOPT_TIMEOUT_MS, timeout.milliseconds) }
        if request.isDirect { set(CURLOPT_NOPROXY, "*") }
    }

    private mutating func setMethod(_ request: HTTPRequest) {
        switch request.method {
        case .get: set(CURLOPT_HTTPGET, 1)
        case .head: set(CURLOPT_NOBODY, 1)
        case .delete: set(CURLOPT_CUSTOMREQUEST, request.method.rawValue)
        case .put, .post:
            set(CURLOPT_UPLOAD, 1)
            set(CURLOPT_CUSTOMREQUEST, request.method.rawValue)
            set(CURLOPT_INFILESIZE_LARGE, offset: request.body.count)
        }
    }

    private mutating func setHeaders(_ transfer: CurlTransfer) {
        for (name, value) in transfer.request.headers {
            append(value.isEmpty ? "\(name);" : "\(name): \(value)", to: transfer)
        }
        if transfer.request.body.count < Self.expectThreshold { append("Expect:", to: transfer) }
        note(sluice_curl_set_headers(pointer, transfer.headerList))
    }

    private mutating func append(_ line: String, to transfer: CurlTransfer) {
        guard let list = curl_slist_append(transfer.headerList, line) else { return note(CURLE_OUT_OF_MEMORY) }
        transfer.headerList = list
    }
}

extension Duration {
    /// Rounded down.
    fileprivate var milliseconds: Int {
        Int(components.seconds) * 1000 + Int(components.attoseconds / 1_000_000_000_000_000)
    }
}

private func transfer(_ context: UnsafeMutableRawPointer?) -> CurlTransfer? {
    context.map { Unmanaged<CurlTransfer>.fromOpaque($0).takeUnretainedValue() }
}

private func onHeader(
    _ bytes: UnsafeMutablePointer<CChar>?,
    _ size: Int,
    _ count: Int,
    _ context: UnsafeMutableRawPointer?
) -> Int {
    transfer(context)?.receiveHeader(UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? 0
}

private func onBody(
    _ bytes: UnsafeMutablePointer<CChar>?,
    _ size: Int,
    _ count: Int,
    _ context: UnsafeMutableRawPointer?
) -> Int {
    transfer(context)?.receiveBody(UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? 0
}

private func onSend(
    _ room: UnsafeMutablePointer<CChar>?,
    _ size: Int,
    _ count: Int,
    _ context: UnsafeMutableRawPointer?
) -> Int {
    transfer(context)?.sendBody(UnsafeMutableRawBufferPointer(start: room, count: size * count))
        ?? Int(CURL_READFUNC_ABORT)
}

private func onSeek(_ context: UnsafeMutableRawPointer?, _ offset: curl_off_t, _ origin: Int32) -> Int32 {
    guard origin == SEEK_SET, transfer(context)?.rewind(to: Int64(offset)) == true else { return CURL_SEEKFUNC_FAIL }
    return CURL_SEEKFUNC_OK
}
