internal import EventLoop
public import Postgres

/// How often the database is looked after, and how much at once.
public struct HousekeepingSettings: Sendable {
  /// Between the end of one run and the beginning of the next.
  public var interval = Duration.seconds(3_600)
  /// Rows that one statement removes for good.
  public var batchSize: Int64 = 1_000

  /// Makes settings with every bound at its default.
  public init() {}
}

/// What has to be done now and then, by any one server process.
public enum Housekeeping {
  /// How far ahead partitions are made, in months.
  public static let monthsAhead: Int32 = 3
  /// How long an idempotency key is remembered.
  public static let keptFor: Duration = .seconds(24 * 3_600)
  /// By how much clocks of servers may differ: what one may still recover, none removes.
  public static let clockTolerance: Duration = .seconds(60)
  /// Time for one statement.
  public static let patience: Duration = .seconds(60)

  /// Makes the partitions of the coming months, forgets old idempotency keys, and removes for good
  /// what cannot be recovered any more.
  ///
  /// - Parameters:
  ///   - database: Connected as the maintenance role.
  ///   - settings: How much is done at once.
  ///   - purged: Told of each batch of rows that was removed for good.
  /// - Throws: ``PostgresError``; what was done before it stays, and the next run does the rest.
  public static func run(
    _ database: Database, _ settings: HousekeepingSettings, purged: (Int64) -> Void
  ) async throws(PostgresError) {
    _ = try await database.commit(
      work(database), MaintenanceQueries.ensurePartitions(monthsAhead: monthsAhead))
    let now = WallClock.microseconds()
    let forgotten = now - Int64(clamping: keptFor.wholeNanoseconds / 1_000)
    while try await database.commit(
      work(database),
      MaintenanceQueries.deleteIdempotencyRecords(
        before: forgotten, batchSize: settings.batchSize)) == settings.batchSize
    {}
    let over = now - Int64(clamping: clockTolerance.wholeNanoseconds / 1_000)
    while true {
      let removed = try await database.commit(
        work(database), MaintenanceQueries.purge(before: over, batchSize: settings.batchSize))
      if removed == 0 { return }
      purged(removed)
    }
  }

  private static func work(_ database: Database) -> Work {
    Work(scope: .none, deadline: database.loop.now.advanced(by: patience), cancellation: nil)
  }
}

/// Whether a database is one that this program can serve from.
public enum ServingCheck {
  /// Makes sure that row-level security binds the role which serves.
  ///
  /// - Returns: What is wrong, for people; nil when nothing is.
  public static func problem(_ database: Database) async throws(PostgresError) -> String? {
    let work = Work(
      scope: .none, deadline: database.loop.now.advanced(by: .seconds(10)), cancellation: nil)
    let session = try await database.read(work, SessionQueries.describeSession())
    if session.isAboveRowSecurity {
      return "the role \(session.role) is above row-level security; connect as another"
    }
    return nil
  }
}
