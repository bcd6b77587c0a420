// swift-tools-version: 6.2
import PackageDescription

/// Without the trait the locks only lock; CI builds and runs the example both ways.
let traits: Set<Package.Dependency.Trait> = Context.environment["LADDER_ACCOUNTING"] == "off" ? [] : [.defaults]

/// The ladder used alone, as another program would use it.
let package = Package(
    name: "lock-ladder-example",
    dependencies: [.package(name: "config-agent", path: "../..", traits: traits)],
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
