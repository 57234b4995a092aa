/// One step of the schema, and the way back.
public struct Migration: Sendable, Equatable {
  /// Its number, from 1 on without gaps.
  public var version: Int
  /// What it does, in a few words joined by underscores.
  public var name: String
  /// SHA-256 of ``up``, in lower-case hexadecimal.
  public var checksum: String
  /// The SQL that applies it.
  public var up: String
  /// The SQL that undoes it.
  public var down: String

  /// Makes a migration.
  public init(version: Int, name: String, checksum: String, up: String, down: String) {
    self.version = version
    self.name = name
    self.checksum = checksum
    self.up = up
    self.down = down
  }

  /// The number in four digits and the name, as in the names of its files.
  public var label: String {
    let digits = String(version)
    return String(repeating: "0", count: max(0, 4 - digits.count)) + digits + "_" + name
  }

  /// The first line of a file that must not run in a transaction.
  ///
  /// It then holds one statement, and one that may be repeated: after a crash it can be in effect
  /// without being recorded.
  static let withoutTransaction = "-- needletail:no-transaction"

  /// Whether `sql` runs in a transaction together with the record of it.
  static func runsInTransaction(_ sql: String) -> Bool {
    !sql.hasPrefix(withoutTransaction)
  }
}

/// A migration as the database remembers it.
public struct AppliedMigration: Sendable, Equatable {
  /// Its number.
  public var version: Int
  /// Its name when it was applied.
  public var name: String
  /// The checksum of what was applied.
  public var checksum: String
  /// When, in microseconds since 1970.
  public var appliedAt: Int64
  /// How long it took, in milliseconds.
  public var duration: Int64

  /// Makes one.
  public init(version: Int, name: String, checksum: String, appliedAt: Int64, duration: Int64) {
    self.version = version
    self.name = name
    self.checksum = checksum
    self.appliedAt = appliedAt
    self.duration = duration
  }
}
