import Storage
import Testing

/// The decisions of a migrator, without a database.
struct StatusTests {
  static let known = (1...3).map { version in
    Migration(
      version: version, name: "step", checksum: "sum \(version)", up: "up \(version)",
      down: "down \(version)")
  }

  static func applied(_ versions: [Int], checksum: String = "sum") -> [AppliedMigration] {
    versions.map { version in
      AppliedMigration(
        version: version, name: "step", checksum: "\(checksum) \(version)", appliedAt: 0,
        duration: 1)
    }
  }

  @Test(
    "What is pending follows what was applied",
    arguments: [([], [1, 2, 3]), ([1], [2, 3]), ([1, 2, 3], []), ([1, 2, 3, 4], [])])
  func pending(_ versions: [Int], _ expected: [Int]) {
    let status = MigrationStatus(known: Self.known, applied: Self.applied(versions))
    #expect(status.pending.map(\.version) == expected)
    #expect(status.version == versions.count)
  }

  @Test("The embedded migrations are numbered without gaps and carry their checksums")
  func embedded() {
    #expect(Migration.embedded.map(\.version) == Array(1...Migration.embedded.count))
    #expect(Migration.embedded.first?.label == "0001_foundation")
    for migration in Migration.embedded {
      #expect(migration.checksum.count == 64)
      #expect(!migration.down.isEmpty)
    }
  }
}
