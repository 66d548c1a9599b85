import CCurl

/// A reusable easy handle; setting options remembers the first failure. Used on the loop's thread alone.
struct CurlHandle {
    let pointer: UnsafeMutableRawPointer
    private(set) var failure: CURLcode?

    init?() {
        guard let pointer = curl_easy_init() else { return nil }
        self.pointer = pointer
    }

    init(reusing pointer: UnsafeMutableRawPointer) {
        self.pointer = pointer
        curl_easy_reset(pointer)
    }

    mutating func set(_ option: CURLoption, _ value: Int) {
        note(sluice_curl_set_long(pointer, option, value))
    }

    mutating func set(_ option: CURLoption, offset value: Int64) {
        note(sluice_curl_set_offset(pointer, option, curl_off_t(value)))
    }

    /// libcurl copies the text.
    mutating func set(_ option: CURLoption, _ value: String) {
        note(sluice_curl_set_string(pointer, option, value))
    }

    mutating func note(_ code: CURLcode) {
        if code != CURLE_OK, failure == nil { failure = code }
    }
}
