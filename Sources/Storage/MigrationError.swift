public import Postgres

/// Why the schema could not be read, changed or used.
public enum MigrationError: Error, Equatable, Sendable {
  /// The database does not answer, or refused something that is no migration.
  case database(PostgresError)
  /// Another process has been migrating this database for longer than we wait.
  case locked
  /// A migration failed and was rolled back.
  case failed(migration: String, ServerError)
  /// What was applied under this number is not what this program would apply.
  case changed(migration: String, applied: String)
  /// The schema has migrations that this program does not know.
  case schemaIsNewer(applied: Int, known: Int)
  /// The schema lacks migrations that this program needs.
  case schemaIsOlder(applied: Int, needed: Int)
  /// The database remembers a migration without the ones before it.
  case gap(missing: Int)
  /// No migration has this number.
  case unknownVersion(Int, newest: Int)
}

extension MigrationError: DatabaseFailure {
  /// Wraps what went wrong with the connection.
  public init(database error: PostgresError) {
    self = .database(error)
  }
}

extension MigrationError: CustomStringConvertible {
  /// One sentence for an operator: what is wrong, and what to do.
  public var description: String {
    switch self {
    case .database(let error):
      "the database did not answer as expected: \(error.serverError?.message ?? "\(error)")"
    case .locked:
      "another process is migrating this database; try again when it is done"
    case .failed(let migration, let error):
      "migration \(migration) failed and was rolled back: \(error.message)"
        + (error.detail.map { " (\($0))" } ?? "")
    case .changed(let migration, let applied):
      "migration \(migration) was changed after it had been applied as \(applied); "
        + "use the program that applied it, or restore the file and add a new migration"
    case .schemaIsNewer(let applied, let known):
      "the schema is at version \(applied), newer than this program, which knows \(known); "
        + "use the newer program"
    case .schemaIsOlder(let applied, let needed):
      "the schema is at version \(applied), this program needs \(needed); "
        + "run `needletail migrate up`"
    case .gap(let missing):
      "the database remembers later migrations but not number \(missing); "
        + "its table schema_migrations was edited by hand"
    case .unknownVersion(let version, let newest):
      "there is no schema version \(version); choose one from 0 to \(newest)"
    }
  }
}
