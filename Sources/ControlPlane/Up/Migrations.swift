internal import EventLoop
internal import Postgres
internal import Storage

/// The schema of a database: brought up and down, looked at, checked.
public enum Migrations {
  /// Applies what is pending up to `target`, nil = all; returns a line for each step.
  public static func up(_ url: String, to target: Int?) async throws(ControlPlaneError) -> [String]
  {
    try await up(url, to: target, .inTerminal)
  }

  static func up(
    _ url: String, to target: Int?, _ wait: DatabaseWait
  ) async throws(ControlPlaneError) -> [String] {
    try await with(url, wait) { migrator throws(MigrationError) in
      try await migrator.up(to: target).map { "applied \($0.label)" }
    }
  }

  /// Undoes what was applied after `target`; returns a line for each step.
  public static func down(_ url: String, to target: Int) async throws(ControlPlaneError) -> [String]
  {
    try await with(url, .inTerminal) { migrator throws(MigrationError) in
      try await migrator.down(to: target).map { "undone \($0.label)" }
    }
  }

  /// Undoes the newest migration; returns a line for it.
  public static func downOne(_ url: String) async throws(ControlPlaneError) -> [String] {
    try await with(url, .inTerminal) { migrator throws(MigrationError) in
      let status = try await migrator.status()
      guard status.version > 0 else { return ["nothing is applied"] }
      let below = status.applied.dropLast().last?.version ?? 0
      return try await migrator.down(to: below).map { "undone \($0.label)" }
    }
  }

  /// A line for each migration: applied when, or pending.
  public static func status(_ url: String) async throws(ControlPlaneError) -> [String] {
    try await with(url, .inTerminal) { migrator throws(MigrationError) in
      let status = try await migrator.status()
      return status.applied.map {
        "applied \($0.version) \($0.name) at \(RFC3339.text(microseconds: $0.appliedAt))"
      } + status.pending.map { "pending \($0.label)" }
    }
  }

  /// Makes sure that this program can serve the database.
  ///
  /// - Throws: ``ControlPlaneError`` that says what is missing, or was changed.
  public static func verify(_ url: String) async throws(ControlPlaneError) -> [String] {
    try await with(url, .inTerminal) { migrator throws(MigrationError) in
      let status = try await migrator.verify()
      return ["the schema is at version \(status.version), as this program expects"]
    }
  }

  private static func with(
    _ url: String, _ wait: DatabaseWait,
    _ body: @escaping @Sendable (Migrator) async throws(MigrationError) -> [String]
  ) async throws(ControlPlaneError) -> [String] {
    var settings = DatabaseSettings(connection: url)
    settings.poolSize = 1
    return try await LoopTask.run(settings, wait) { database throws(ControlPlaneError) in
      do throws(MigrationError) {
        return try await body(
          Migrator(database, migrations: Migration.embedded, settings: MigratorSettings()))
      } catch {
        throw ControlPlaneError("\(error)")
      }
    }
  }
}
