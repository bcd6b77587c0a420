// swift-tools-version: 6.2
import PackageDescription

/// Without the trait the locks only lock: what their accounting costs is measured by building both ways.
let traits: Set<Package.Dependency.Trait> = Context.environment["LADDER_ACCOUNTING"] == "off" ? [] : [.defaults]

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

// A loop of a few instructions takes a quarter more or less time by where it happens to lie. So all that measures begins
// its loops on a line: here, and in the anchors where their compilers can (Go's cannot).
#if arch(x86_64)
    let aligned = strict + [.unsafeFlags(["-Xllvm", "-x86-experimental-pref-innermost-loop-alignment=6"])]
#else
    let aligned = strict
#endif

// A package of its own, so that nothing that measures is built with, or shipped in, what is measured.
let package = Package(
    name: "benchmarks",
    dependencies: [
        .package(name: "config-agent", path: "../..", traits: traits),
        // An anchor of the ladder's benchmark.
        .package(url: "https://github.com/apple/swift-atomics", from: "1.3.0"),
    ],
    targets: [
        .target(name: "BenchKit", swiftSettings: [.treatAllWarnings(as: .error)]),
        // Measures the programs from outside.
        .systemLibrary(name: "CEpoll"),
        .executableTarget(
            name: "AgentBench",
            dependencies: ["BenchKit", "CEpoll"],
            swiftSettings: [.treatAllWarnings(as: .error)]
        ),
        // Runs the agent for long under everything that can happen, and watches what it promises.
        .executableTarget(
            name: "Soak",
            dependencies: ["BenchKit"],
            swiftSettings: [.treatAllWarnings(as: .error)]
        ),
        // Lets the measuring programs of the ladder take turns, and tells what comes out.
        .executableTarget(
            name: "LadderBench",
            dependencies: ["BenchKit"],
            swiftSettings: [.treatAllWarnings(as: .error)]
        ),
        .systemLibrary(name: "CAffinity", path: "Sources/LadderSubjects/CAffinity"),
        // Measures one rung of the ladder, or a Swift anchor, once.
        .executableTarget(
            name: "ladder-subjects",
            dependencies: [
                "CAffinity",
                .product(name: "LockLadder", package: "config-agent"),
                .product(name: "ConfigSnapshot", package: "config-agent"),
                .product(name: "Atomics", package: "swift-atomics"),
            ],
            path: "Sources/LadderSubjects",
            exclude: ["CAffinity"],
            swiftSettings: aligned
        ),
    ],
    swiftLanguageModes: [.v6]
)
