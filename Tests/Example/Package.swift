// swift-tools-version: 6.2
import PackageDescription

/// The ladder used alone, as another program would use it.
let package = Package(
    name: "lock-ladder-example",
    dependencies: [.package(name: "config-agent", path: "../..")],
    targets: [
        .executableTarget(
            name: "lock-ladder-example",
            dependencies: [.product(name: "LockLadder", package: "config-agent")],
            path: ".",
            sources: ["main.swift"]
        )
    ],
    swiftLanguageModes: [.v6]
)
