/// What lseek(2) looks for from an offset on: SEEK_DATA and SEEK_HOLE. The end of a file counts as a hole.
public enum SparseSeek: Equatable, Sendable {
    case data
    case hole
}
