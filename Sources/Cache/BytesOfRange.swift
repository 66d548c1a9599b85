import Platform

extension UnsafeRawBufferPointer {
    /// The bytes of a range of a file, all of which are here; `start`: where in the file the first byte is that is here.
    func bytes(of range: Range<Int64>, from start: Int64) -> UnsafeRawBufferPointer {
        let first = Int(range.lowerBound - start)
        return UnsafeRawBufferPointer(rebasing: self[first..<first + Int(range.length)])
    }
}
