// swift-tools-version: 6.2
import PackageDescription

/// Applied to every Swift target: Swift 6 language mode (from the tools version) and no warning left standing.
let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let sqlite: Target.Dependency = .product(name: "GRDBSQLite", package: "GRDB.swift")
let toml: Target.Dependency = .product(name: "TOMLKit", package: "TOMLKit")

/// C shims: one module per library, so that only the layer that uses a library links it.
func shim(_ name: String, links libraries: [String] = []) -> Target {
    .target(name: name, path: "Sources/CShims/\(name)", linkerSettings: libraries.map { .linkedLibrary($0) })
}

let package = Package(
    name: "sluice",
    products: [.executable(name: "sluice", targets: ["sluice"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
    ],
    targets: [
        shim("CLinux"),
        shim("CCRC"),
        shim("CCrypto", links: ["crypto"]),
        shim("CCurl", links: ["curl"]),
        shim("CExpat", links: ["expat"]),
        shim("CFuse", links: ["fuse3"]),
        shim("CXXHash", links: ["xxhash"]),

        .target(name: "Platform", dependencies: ["CLinux", system], swiftSettings: strict),
        .target(
            name: "ObjectStore", dependencies: ["Platform", "CLinux", "CCRC", "CCrypto", system],
            swiftSettings: strict),
        .target(
            name: "Cache",
            dependencies: ["Platform", "ObjectStore", "CLinux", "CXXHash", grdb, sqlite, logging, system],
            swiftSettings: strict),
        .target(
            name: "S3", dependencies: ["Platform", "ObjectStore", "CCurl", "CCrypto", "CExpat", logging, system],
            swiftSettings: strict),
        .target(
            name: "Transfer", dependencies: ["Platform", "ObjectStore", "Cache", logging, system],
            swiftSettings: strict),
        .target(
            name: "FileSystem", dependencies: ["Platform", "ObjectStore", "Cache", "Transfer", logging, system],
            swiftSettings: strict),
        .target(
            name: "Fuse",
            dependencies: ["Platform", "Cache", "FileSystem", "CFuse", "CLinux", logging, system],
            swiftSettings: strict),
        .executableTarget(
            name: "sluice",
            dependencies: [
                "Platform", "ObjectStore", "Cache", "S3", "Transfer", "FileSystem", "Fuse", "CLinux",
                argumentParser, logging, system, toml,
            ],
            swiftSettings: strict),

        .target(name: "CScheduler", path: "Tests/CScheduler"),
        .target(
            name: "TestKit", dependencies: ["Platform", "ObjectStore", "CLinux", "CScheduler", sqlite, system],
            path: "Tests/TestKit", swiftSettings: strict),
        .target(
            name: "WorldKit",
            dependencies: [
                "Fuse", "FileSystem", "Transfer", "Cache", "ObjectStore", "Platform", "TestKit", "CLinux", logging,
                system,
            ],
            path: "Tests/WorldKit", swiftSettings: strict),
        .testTarget(
            name: "PlatformTests", dependencies: ["Platform", "TestKit", "CLinux", system], swiftSettings: strict),
        .testTarget(
            name: "ObjectStoreTests", dependencies: ["ObjectStore", "Platform", "TestKit", system],
            swiftSettings: strict),
        .testTarget(
            name: "CacheTests", dependencies: ["Cache", "ObjectStore", "Platform", "TestKit", logging, system],
            swiftSettings: strict),
        .testTarget(
            name: "S3Tests", dependencies: ["S3", "ObjectStore", "Platform", "TestKit", logging, system],
            swiftSettings: strict),
        .testTarget(
            name: "TransferTests",
            dependencies: ["Transfer", "Cache", "ObjectStore", "Platform", "TestKit", logging, system],
            swiftSettings: strict),
        .testTarget(
            name: "FileSystemTests",
            dependencies: [
                "FileSystem", "Cache", "ObjectStore", "Platform", "TestKit", "WorldKit", system,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "ModelTests",
            dependencies: [
                "FileSystem", "Transfer", "Cache", "ObjectStore", "Platform", "TestKit", "WorldKit", system,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CrashTests",
            dependencies: ["Transfer", "Cache", "ObjectStore", "Platform", "TestKit", "WorldKit", system],
            swiftSettings: strict),
        .testTarget(
            name: "FuseTests",
            dependencies: [
                "Fuse", "FileSystem", "Cache", "Platform", "TestKit", "WorldKit", "CLinux", logging, system,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "FuzzTests",
            dependencies: [
                "sluice", "FileSystem", "Transfer", "Cache", "S3", "ObjectStore", "Platform", "TestKit", grdb, logging,
                system,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "SluiceTests", dependencies: ["sluice", "ObjectStore", "Platform", "Fuse", logging, system],
            swiftSettings: strict),
    ]
)
