internal import EventLoop
public import Postgres

/// How patiently migrations are run.
public struct MigratorSettings: Sendable {
  /// How long to wait for another process that migrates the same database.
  public var patience = Duration.seconds(60)
  /// How long a statement may wait for a table's lock: others queue behind it meanwhile.
  public var lockTimeout = Duration.seconds(2)
  /// How often a migration is tried whose lock was not to be had.
  public var attemptsMax = 10
  /// The pause between two attempts.
  public var pause = Duration.seconds(1)

  /// The defaults.
  public init() {}
}

/// Brings a database's schema up and down.
///
/// It works over a session of its own, as the role that logs in and not as the pool's. Each
/// migration and the record of it are one transaction; an advisory lock keeps two migrators apart.
public struct Migrator {
  private let database: Database
  private let migrations: [Migration]
  private let settings: MigratorSettings

  /// The advisory lock that all migrators of a database take.
  static let lockKey: Int64 = 0x6E65_6564_6C65_7461

  /// Makes one for `migrations`, the program's own being ``Migration/embedded``.
  public init(_ database: Database, migrations: [Migration], settings: MigratorSettings) {
    self.database = database
    self.migrations = migrations
    self.settings = settings
  }

  // MARK: Reading

  /// Says what the database has; changes nothing.
  public func status() async throws(MigrationError) -> MigrationStatus {
    let migrations = migrations
    return try await session { session throws(MigrationError) in
      try await Ledger(session).status(migrations)
    }
  }

  /// Makes sure that this program can serve the database.
  ///
  /// A newer schema passes, because an old server goes on while the schema moves ahead of it: the
  /// status returned tells.
  ///
  /// - Throws: ``MigrationError`` `schemaIsOlder`, `changed` or `gap`.
  @discardableResult
  public func verify() async throws(MigrationError) -> MigrationStatus {
    let status = try await status()
    try status.checkHistory()
    guard status.pending.isEmpty else {
      throw .schemaIsOlder(applied: status.version, needed: status.newestVersion)
    }
    return status
  }

  // MARK: Changing

  /// Applies what is pending up to `target`, nil = all of it; returns what was applied, in order.
  ///
  /// - Throws: ``MigrationError``; what was applied before the failure stays.
  public func up(to target: Int?) async throws(MigrationError) -> [Migration] {
    try await locked { session, ledger throws(MigrationError) in
      try await ledger.create()
      let steps = try await ledger.status(migrations).stepsUp(to: target)
      for step in steps { try await apply(step, session, ledger) }
      return steps
    }
  }

  /// Undoes what was applied after `target`, the newest first; returns what was undone, in order.
  ///
  /// - Throws: ``MigrationError``; what was undone before the failure stays undone.
  public func down(to target: Int) async throws(MigrationError) -> [Migration] {
    try await locked { session, ledger throws(MigrationError) in
      let steps = try await ledger.status(migrations).stepsDown(to: target)
      for step in steps { try await undo(step, session, ledger) }
      return steps
    }
  }

  private func apply(
    _ migration: Migration, _ session: Session, _ ledger: Ledger
  ) async throws(MigrationError) {
    let began = database.loop.now
    try await run(migration.up, of: migration, session) { () throws(PostgresError) in
      try await ledger.record(migration, duration: database.loop.now.since(began))
    }
  }

  private func undo(
    _ migration: Migration, _ session: Session, _ ledger: Ledger
  ) async throws(MigrationError) {
    try await run(migration.down, of: migration, session) { () throws(PostgresError) in
      try await ledger.forget(migration)
    }
  }

  /// Runs `sql` and then `record`, again when a lock was not to be had in time.
  private func run(
    _ sql: String, of migration: Migration, _ session: Session,
    _ record: () async throws(PostgresError) -> Void
  ) async throws(MigrationError) {
    var attempt = 1
    while true {
      do throws(PostgresError) {
        return try await runOnce(sql, session, record)
      } catch {
        guard let report = error.serverError else { throw .database(error) }
        guard error.isLockTimeout || error.isSerializationFailure, attempt < settings.attemptsMax
        else { throw .failed(migration: migration.label, report) }
        attempt += 1
        await database.loop.pause(settings.pause)
      }
    }
  }

  private func runOnce(
    _ sql: String, _ session: Session, _ record: () async throws(PostgresError) -> Void
  ) async throws(PostgresError) {
    let limits = "lock_timeout = \(settings.lockTimeout.milliseconds)"
    guard Migration.runsInTransaction(sql) else {
      try await session.simple("set \(limits)")
      try await session.simple(sql)
      return try await record()
    }
    try await session.simple("begin; set local \(limits); set local statement_timeout = 0")
    do throws(PostgresError) {
      try await session.simple(sql)
      // A migration acts as the schema's owner; the record is the migrator's own.
      try await session.simple("reset role")
      try await record()
      try await session.simple("commit")
    } catch {
      // The connection may be gone; then so is the transaction.
      try? await session.simple("rollback")
      throw error
    }
  }

  // MARK: Sessions

  private func session<Value>(
    _ body: (Session) async throws(MigrationError) -> Value
  ) async throws(MigrationError) -> Value {
    try await database.session(Work(scope: .none, deadline: nil, cancellation: nil), body)
  }

  /// Runs `body` while no other migrator can run on this database.
  private func locked<Value>(
    _ body: (Session, Ledger) async throws(MigrationError) -> Value
  ) async throws(MigrationError) -> Value {
    try await session { session throws(MigrationError) in
      do throws(PostgresError) {
        try await session.simple(
          "set lock_timeout = \(settings.patience.milliseconds); "
            + "select pg_advisory_lock(\(Migrator.lockKey))")
      } catch {
        throw error.isLockTimeout ? .locked : .database(error)
      }
      return try await body(session, Ledger(session))
    }
  }
}

extension Duration {
  /// Whole milliseconds, at least 1: the server takes 0 for no limit at all.
  var milliseconds: Int64 {
    max(1, components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000)
  }
}
