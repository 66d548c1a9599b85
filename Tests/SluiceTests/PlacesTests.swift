import Testing

@testable import sluice

/// A mount point, a state directory and a bucket directory that do not get into each other's way.
@Suite struct PlacesTests {
    @Test(arguments: [
        Places(mountPoint: "/mnt", stateDirectory: "/state", bucket: "/bucket"),
        Places(mountPoint: "/mnt", stateDirectory: "/mnt-state", bucket: "/mnt-bucket"),
        Places(mountPoint: "/data/mnt", stateDirectory: "/data/state", bucket: nil),
        Places(mountPoint: "/state/mnt", stateDirectory: "/state", bucket: nil),
    ])
    func directoriesApartAreTaken(places: Places) throws {
        try places.check()
    }

    @Test(arguments: [
        (Places(mountPoint: "/mnt", stateDirectory: "/mnt/state", bucket: nil), "the state directory /mnt/state"),
        (Places(mountPoint: "/mnt", stateDirectory: "/mnt", bucket: nil), "the state directory /mnt"),
        (Places(mountPoint: "/srv", stateDirectory: "/state", bucket: "/srv"), "the mount point /srv"),
        (Places(mountPoint: "/srv/mnt", stateDirectory: "/state", bucket: "/srv"), "the mount point /srv/mnt"),
        (Places(mountPoint: "/mnt", stateDirectory: "/state", bucket: "/"), "the mount point /mnt"),
        (Places(mountPoint: "/mnt", stateDirectory: "/srv/state", bucket: "/srv"), "the state directory /srv/state"),
        (Places(mountPoint: "/mnt", stateDirectory: "/state", bucket: "/state/b"), "the directory /state/b"),
    ])
    func oneInAnotherIsRefused(places: Places, says: String) {
        #expect {
            try places.check()
        } throws: { error in
            guard let failure = error as? CommandFailure else { return false }
            return failure.code == .failed && failure.description.hasPrefix(says)
        }
    }
}
