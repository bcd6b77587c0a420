// swift-tools-version: 6.2
import PackageDescription

/// Built for the fuzzer: what is ours counts the edges it runs through and watches its memory.
let isFuzzed = Context.environment["CONFIG_AGENT_FUZZ"] != nil

/// Every target of ours is compiled alike: Swift 6 with strict concurrency, and a warning is an error.
var strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]
if isFuzzed {
    strict.append(.unsafeFlags(["-sanitize=fuzzer,address", "-enable-testing", "-assert-config", "Debug"]))
}

/// The ladder works with raw memory, so there every unsafe step has to be written out as one.
let strictAndMemorySafe = strict + [.strictMemorySafety()]

let package = Package(
    name: "config-agent",
    products: [
        .library(name: "LockLadder", targets: ["LockLadder"]),
        // The look-up of keys, for programs that need nothing of the agent besides.
        .library(name: "ConfigSnapshot", targets: ["ConfigSnapshot"]),
        .library(name: "ConfigAgent", targets: ["ConfigAgent"]),
        .executable(name: "agentd", targets: ["agentd"]),
        .executable(name: "agentctl", targets: ["agentctl"]),
        .executable(name: "agent-check", targets: ["agent-check"]),
    ],
    traits: [
        .trait(
            name: "ContentionAccounting",
            description: "Locks count and time their own contention. Without it they only lock."
        ),
        .default(enabledTraits: ["ContentionAccounting"]),
    ],
    dependencies: [
        // The command lines of agentd and agentctl.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        // SHA-256 digests of documents, and Ed25519 signatures.
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        // Event loops and HTTP/1.1 for the local sockets.
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    ],
    targets: [
        // C: thin shims over what Swift cannot import (variadic functions) or must not do itself.
        .target(name: "CLockLadder"),
        .target(name: "CProcess"),
        .target(name: "CCurl", linkerSettings: [.linkedLibrary("curl"), .linkedLibrary("z")]),
        .systemLibrary(name: "CSystemd", providers: [.apt(["libsystemd-dev"])]),
        .systemLibrary(name: "CYaml", providers: [.apt(["libyaml-dev"])]),
        .target(name: "CHost"),
        .target(name: "CSandbox"),
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),

        // The ladder: locks that count their own contention. Usable alone.
        .target(name: "LockLadder", dependencies: ["CLockLadder"], swiftSettings: strictAndMemorySafe),

        // The stages, in the order in which a document passes through them. None imports another.
        .target(name: "ConfigSnapshot", swiftSettings: strict),
        // What a signature says and whose it is: for whoever signs, fetches, verifies, and for what is configured.
        .target(
            name: "ConfigTrust",
            dependencies: ["ConfigSnapshot", .product(name: "Crypto", package: "swift-crypto")],
            swiftSettings: strict
        ),
        .target(name: "Curl", dependencies: ["CCurl", "LockLadder"], swiftSettings: strict),
        .target(
            name: "ConfigFetch",
            dependencies: [
                "Curl", "LockLadder", "ConfigSnapshot", "ConfigTrust",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "ConfigVerify",
            dependencies: ["ConfigSnapshot", "ConfigTrust", .product(name: "Crypto", package: "swift-crypto")],
            swiftSettings: strict
        ),
        .target(name: "ConfigDecode", dependencies: ["CYaml", "ConfigSnapshot"], swiftSettings: strict),
        .target(name: "ConfigGuard", dependencies: ["ConfigSnapshot"], swiftSettings: strict),
        .target(
            name: "ConfigPublish",
            dependencies: [
                "LockLadder", "ConfigSnapshot", "ConfigTrust", .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: strict
        ),

        // The pipeline: the only place that knows the order of the stages.
        .target(
            name: "ConfigAgent",
            dependencies: [
                "LockLadder", "ConfigSnapshot", "ConfigTrust", "ConfigFetch", "ConfigVerify", "ConfigDecode",
                "ConfigGuard", "ConfigPublish",
            ],
            swiftSettings: strict
        ),

        // What an operator sees of it.
        .target(
            name: "AgentTelemetry",
            dependencies: ["CSystemd", "ConfigSnapshot", "LockLadder"],
            swiftSettings: strict
        ),
        .target(name: "AgentAPI", exclude: ["schema"], swiftSettings: strict),
        .target(
            name: "AgentControl",
            dependencies: [
                "AgentAPI", "ConfigAgent", "ConfigFetch", "ConfigPublish", "ConfigSnapshot", "LockLadder",
                "AgentTelemetry",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        .target(name: "AgentctlKit", dependencies: ["AgentAPI"], swiftSettings: strict),
        .target(
            name: "AgentConfiguration",
            dependencies: ["ConfigDecode", "ConfigGuard", "ConfigSnapshot", "ConfigTrust"],
            swiftSettings: strict
        ),
        // From what is configured to what is to be done: for agentd, and for whoever checks in its place.
        .target(
            name: "AgentPlanning",
            dependencies: [
                "AgentAPI", "AgentConfiguration", "ConfigAgent", "ConfigDecode", "ConfigFetch", "ConfigGuard",
                "ConfigPublish", "ConfigSnapshot", "ConfigTrust", "LockLadder",
            ],
            swiftSettings: strict
        ),
        // What is wrong with an agent, seen from outside; and everything about it for whoever is to help.
        .target(
            name: "AgentDoctor",
            dependencies: [
                "CHost", "CZlib", "AgentAPI", "AgentConfiguration", "AgentPlanning", "ConfigAgent", "ConfigDecode",
                "ConfigFetch", "ConfigSnapshot", "ConfigTrust", "ConfigVerify", "Curl", "LockLadder",
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "agentd",
            dependencies: [
                "CProcess", "AgentConfiguration", "AgentPlanning", "ConfigAgent", "ConfigFetch", "ConfigPublish",
                "ConfigGuard", "ConfigSnapshot", "Curl", "LockLadder", "AgentTelemetry", "AgentControl", "AgentAPI",
                "AgentctlKit",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "agentctl",
            dependencies: [
                "AgentAPI", "AgentConfiguration", "AgentctlKit", "AgentDoctor", "ConfigSnapshot", "ConfigTrust", "Curl",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict
        ),
        // Runs the commands that check documents: each in a process that may do next to nothing.
        .executableTarget(
            name: "agent-check",
            dependencies: [
                "CSandbox", "ConfigGuard", "ConfigSnapshot",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "sample-origin",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),

        // Unit tests, one target for each module.
        .testTarget(name: "AgentAPITests", dependencies: ["AgentAPI"], swiftSettings: strict),
        .testTarget(
            name: "AgentConfigurationTests",
            dependencies: [
                "AgentConfiguration", "ConfigDecode", "ConfigGuard", "ConfigSnapshot", "ConfigTrust", "TestSupport",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ConfigDecodeTests",
            dependencies: ["ConfigDecode", "ConfigSnapshot"],
            swiftSettings: strict
        ),
        .testTarget(name: "ConfigSnapshotTests", dependencies: ["ConfigSnapshot"], swiftSettings: strict),
        .testTarget(
            name: "AgentControlTests",
            dependencies: [
                "AgentAPI", "AgentControl", "AgentTelemetry", "ConfigAgent", "ConfigFetch", "ConfigPublish",
                "ConfigSnapshot", "LockLadder", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        // agentd: its records are held against the catalog.
        .testTarget(
            name: "AgentTelemetryTests",
            dependencies: [
                "AgentConfiguration", "AgentTelemetry", "ConfigAgent", "ConfigPublish", "ConfigSnapshot",
                "LockLadder", "agentd",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "AgentdTests",
            dependencies: ["AgentAPI", "AgentConfiguration", "AgentTelemetry", "agentd"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ConfigAgentTests",
            dependencies: [
                "AgentTestSupport", "ConfigAgent", "ConfigDecode", "ConfigFetch", "ConfigGuard", "ConfigPublish",
                "ConfigSnapshot", "ConfigTrust", "LockLadder", "TestSupport",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ConfigFetchTests",
            dependencies: ["ConfigFetch", "ConfigSnapshot", "ConfigTrust", "Curl", "LockLadder", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ConfigPublishTests",
            dependencies: [
                "ConfigDecode", "ConfigPublish", "ConfigSnapshot", "ConfigTrust", "ConfigVerify", "LockLadder",
                "TestSupport",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ConfigVerifyTests",
            dependencies: ["ConfigSnapshot", "ConfigTrust", "ConfigVerify"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ConfigGuardTests",
            dependencies: ["ConfigDecode", "ConfigGuard", "ConfigSnapshot"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ConfigTrustTests",
            dependencies: ["AgentTestSupport", "ConfigSnapshot", "ConfigTrust", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(name: "CurlTests", dependencies: ["CCurl", "Curl", "LockLadder"], swiftSettings: strict),
        .testTarget(name: "LockLadderTests", dependencies: ["CLockLadder", "LockLadder"], swiftSettings: strict),
        .testTarget(
            name: "AgentDoctorTests",
            dependencies: [
                "AgentAPI", "AgentConfiguration", "AgentDoctor", "ConfigFetch", "ConfigSnapshot", "TestSupport",
            ],
            swiftSettings: strict
        ),
        .testTarget(name: "AgentctlTests", dependencies: ["AgentAPI", "AgentctlKit", "Curl"], swiftSettings: strict),

        // One function for each fast path of the ladder, whose machine code is checked.
        .executableTarget(
            name: "ladder-fast-paths",
            dependencies: ["LockLadder"],
            path: "Tests/FastPaths",
            swiftSettings: strict
        ),
        // The ladder's protocols, searched exhaustively with explicit store buffers. Optimised always: the search is all
        // there is to it.
        .testTarget(name: "ModelTests", dependencies: ["LockLadder"], swiftSettings: strict + [.unsafeFlags(["-O"])]),

        // The programs as their users meet them, with real servers and a real systemd. They find the programs beside
        // the test bundle, hence the dependencies.
        .target(name: "TestSupport", path: "Tests/Support", swiftSettings: strict),
        // An agent in the test's own process.
        .target(
            name: "AgentTestSupport",
            dependencies: [
                "ConfigAgent", "ConfigFetch", "ConfigPublish", "ConfigSnapshot", "ConfigTrust", "LockLadder",
                "TestSupport",
            ],
            path: "Tests/AgentSupport",
            swiftSettings: strict
        ),
        // Each kind of source against a real server of its kind.
        .testTarget(
            name: "SourceSystemTests",
            dependencies: [
                "AgentTestSupport", "ConfigAgent", "ConfigFetch", "ConfigSnapshot", "ConfigTrust", "TestSupport",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "SystemTests",
            dependencies: ["TestSupport", "agentd", "agentctl", "agent-check", "sample-origin"],
            swiftSettings: strict
        ),
        // The same against faults provoked from outside: crashes, damage, want of room.
        .testTarget(
            name: "FaultTests",
            dependencies: [
                "AgentTestSupport", "ConfigTrust", "TestSupport", "agentd", "agentctl", "agent-check",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: strict
        ),
    ],
    swiftLanguageModes: [.v6]
)

// A target of the root package, because what it feeds is internal to the modules and no product.
if isFuzzed {
    package.targets.append(
        .executableTarget(
            name: "fuzz",
            dependencies: [
                "AgentAPI", "AgentConfiguration", "AgentControl", "ConfigAgent", "ConfigDecode", "ConfigFetch",
                "ConfigGuard", "ConfigPublish", "ConfigSnapshot", "ConfigTrust", "Curl", "LockLadder",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            path: "Tests/Fuzz",
            exclude: ["Corpus", "Dictionaries"],
            swiftSettings: strict,
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address"])]
        )
    )
}
