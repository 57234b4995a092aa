// swift-tools-version: 6.2
import PackageDescription

/// The strict settings of every Swift target: one array, no exceptions.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .strictMemorySafety(),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

let argumentParser = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")
let swiftProtobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")

func swift(
  _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []
) -> Target {
  .target(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let package = Package(
  name: "needletail",
  products: [
    .executable(name: "needletail", targets: ["needletail"]),
    .library(name: "NeedletailClient", targets: ["Client", "Messages"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    .package(url: "https://github.com/swhitty/FlyingFox", from: "0.27.1"),
  ],
  targets: [
    // C: one shim a library; each is imported by exactly one Swift target.
    .target(name: "CLinux"),
    .target(name: "CProcess"),
    .target(
      name: "COpenSSL", linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
    .target(name: "CProtobufC", linkerSettings: [.linkedLibrary("protobuf-c")]),
    .target(name: "CCurl", linkerSettings: [.linkedLibrary("curl")]),
    .target(name: "CMessages", dependencies: ["CProtobufC"]),
    .target(
      name: "CPostgres",
      linkerSettings: [.linkedLibrary("pq")]),

    // Mechanisms.
    swift("Wire", []),
    swift("EventLoop", ["CLinux"]),
    swift("TLS", ["COpenSSL"]),
    swift("Messages", ["CMessages"]),
    swift("Postgres", ["EventLoop", "CPostgres"]),
    swift("RPC", ["Wire", "Messages", "TLS", "Postgres", "EventLoop"], exclude: ["Queries"]),
    swift("Client", ["Wire", "Messages", "TLS", "EventLoop"]),

    swift("Artifacts", ["TLS", "Postgres", "EventLoop", "CCurl"]),

    // Services: none imports another.
    swift("Storage", ["Postgres", "EventLoop"], exclude: ["Migrations"]),
    swift("Identity", ["RPC", "Messages", "Postgres", "TLS", "EventLoop"], exclude: ["Queries"]),
    swift(
      "Tracking", ["RPC", "Artifacts", "Messages", "Postgres", "EventLoop"],
      exclude: ["Queries"]),
    swift("Tracing", ["RPC", "Messages", "Postgres", "EventLoop"], exclude: ["Queries"]),

    swift("Registry", ["RPC", "Messages", "Postgres", "EventLoop"], exclude: ["Queries"]),

    // Composition and the command line.
    swift(
      "ControlPlane",
      [
        "RPC", "Identity", "Registry", "Tracking", "Tracing", "Artifacts", "Storage", "Messages",
        "Postgres",
        "TLS", "EventLoop", "Wire", logging, .product(name: "FlyingFox", package: "FlyingFox"),
        .product(name: "FlyingSocks", package: "FlyingFox"),
        "CProcess",
      ]),
    .executableTarget(
      name: "needletail",
      dependencies: [
        "ControlPlane", "Client", "Messages", "Storage", "EventLoop", "Postgres", "TLS", "Wire",
        argumentParser,
      ],
      swiftSettings: strict),

    // What Benchmarks/ measures from within: in no product of its own, and in no test.
    .executableTarget(
      name: "decisions", dependencies: ["RPC", "Messages", "EventLoop", "Postgres"],
      path: "Benchmarks/Decisions", swiftSettings: strict),

    // Tests.
    tests("EventLoopTests", ["EventLoop"]),
    // The golden vectors of Conformance/, for the tests of machines and of live servers.
    .target(
      name: "WireVectors", dependencies: ["Wire"], path: "Tests/WireVectors",
      swiftSettings: strict),
    tests("WireTests", ["Wire", "WireVectors"]),
    tests("TLSTests", ["TLS", "COpenSSL"]),
    // A PostgreSQL server for tests.
    .target(
      name: "TestSupport", dependencies: ["EventLoop"], path: "Tests/TestSupport",
      swiftSettings: strict),
    tests("PostgresTests", ["Postgres", "EventLoop", "TestSupport"]),
    tests("StorageTests", ["Storage", "Postgres", "EventLoop", "TestSupport"]),
    tests(
      "RPCTests",
      [
        "RPC", "Identity", "Registry", "Tracking", "Tracing", "Storage", "Messages", "Postgres",
        "TLS", "EventLoop", "Wire", "WireVectors", "TestSupport", swiftProtobuf,
      ]),
    // The calls' parts without I/O: JSON text, tokens, field rules, routing.
    tests("RulesTests", ["RPC", "Wire", "Messages", "Postgres", "TestSupport"]),
    tests(
      "IdentityTests",
      [
        "Identity", "RPC", "Wire", "Messages", "Storage", "Postgres", "EventLoop", "TestSupport",
      ]),
    tests("ArtifactsTests", ["Artifacts", "TLS", "Postgres", "EventLoop"]),
    tests(
      "TrackingTests",
      [
        "Tracking", "Identity", "RPC", "Wire", "Messages", "Storage", "Postgres", "EventLoop",
        "TestSupport",
      ]),
    tests("RegistryTests", ["Registry", "RPC"]),
    tests("TracingTests", ["Tracing", "RPC", "Wire", "Messages", "Postgres"]),
    tests("ControlPlaneTests", ["ControlPlane", "RPC", "Postgres", "EventLoop", logging]),
    // Two targets hold generated code alone: samples of every protobuf type, and the messages
    // as swift-protobuf has them, which tests compare with.
    .target(
      name: "CMessagesSamples", dependencies: ["CMessages"], path: "Tests/CMessagesSamples"),
    .target(
      name: "SwiftProtobufMessages", dependencies: [swiftProtobuf],
      path: "Tests/SwiftProtobufMessages"),
    tests(
      "MessagesTests",
      [
        "Messages", "CMessages", "CProtobufC", "CMessagesSamples", "SwiftProtobufMessages",
        "TestSupport", swiftProtobuf,
      ]),
    tests("ClientTests", ["Client", "Wire", "Messages", "TLS", "EventLoop"]),
    tests("CommandTests", ["needletail", "Client", "Wire", "Messages", argumentParser]),
  ]
)
