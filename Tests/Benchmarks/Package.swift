// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that nothing that measures is built with, or shipped in, what is measured.
let package = Package(
    name: "benchmarks",
    targets: [
        .systemLibrary(name: "CEpoll"),
        .executableTarget(
            name: "AgentBench",
            dependencies: ["CEpoll"],
            swiftSettings: [.treatAllWarnings(as: .error)]
        ),
    ],
    swiftLanguageModes: [.v6]
)
