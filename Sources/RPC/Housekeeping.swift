internal import EventLoop
public import Postgres

/// How often the database is looked after, and how much at once.
public struct HousekeepingSettings: Sendable {
  /// Between the end of one run and the beginning of the next.
  public var interval = Duration.seconds(3_600)
  /// Rows that one statement removes for good.
  public var batchSize: Int64 = 1_000
  /// Between two runs that settle the last values of metrics, and how long a value has rested then.
  public var settlingInterval = Duration.seconds(60)
  /// Between two runs that merge chunks of points.
  public var compactionInterval = Duration.seconds(300)
  /// The age from which chunks of points are merged, and a watch may have to begin again.
  public var compactionDelay = Duration.seconds(3_600)
  /// Chunks that one transaction merges.
  public var compactionBatchSize: Int64 = 500
  /// How long points are kept, except those of pinned runs.
  public var pointsKeptFor = Duration.seconds(90 * 86_400)
  /// How long rollups of points are kept, except those of pinned runs.
  public var rollupsKeptFor = Duration.seconds(365 * 86_400)
  /// How long traces are kept; nil = until somebody deletes them.
  public var tracesKeptFor: Duration?

  /// Makes settings with every bound at its default.
  public init() {}
}

/// What has to be done now and then, by any one server process.
public enum Housekeeping {
  /// How far ahead partitions are made, in months.
  public static let monthsAhead: Int32 = 3
  /// For how long what was deleted can be brought back, in microseconds: 30 days.
  public static let recoveryPeriod: Int64 = 30 * 86_400 * 1_000_000
  /// How long an idempotency key is remembered.
  public static let keptFor: Duration = .seconds(24 * 3_600)
  /// By how much clocks of servers may differ: what one may still recover, none removes.
  public static let clockTolerance: Duration = .seconds(60)
  /// Time for one statement.
  public static let patience: Duration = .seconds(60)

  /// The tasks of every database: partitions of the coming months, old idempotency keys, and what
  /// cannot be recovered any more.
  ///
  /// - Parameters:
  ///   - settings: How often, and how much at once.
  ///   - purged: Told of each batch of rows that was removed for good.
  /// - Returns: The tasks.
  public static func tasks(
    _ settings: HousekeepingSettings, purged: @escaping (Int64) -> Void
  ) -> [UpkeepTask] {
    [
      UpkeepTask("partitions", every: settings.interval) {
        (database) async throws(PostgresError) in
        let made = try await database.commit(
          Upkeep.work(database), MaintenanceQueries.ensurePartitions(monthsAhead: monthsAhead))
        return UpkeepStep(rows: made, isLast: true)
      },
      UpkeepTask("idempotency-keys", every: settings.interval) {
        (database) async throws(PostgresError) in
        let removed = try await database.commit(
          Upkeep.work(database),
          MaintenanceQueries.deleteIdempotencyRecords(
            before: WallClock.microseconds() - keptFor.microseconds,
            batchSize: settings.batchSize))
        return UpkeepStep(rows: removed, isLast: removed < settings.batchSize)
      },
      UpkeepTask("purge", every: settings.interval) { (database) async throws(PostgresError) in
        let removed = try await database.commit(
          Upkeep.work(database),
          MaintenanceQueries.purge(
            before: WallClock.microseconds() - clockTolerance.microseconds,
            batchSize: settings.batchSize))
        if removed > 0 { purged(removed) }
        return UpkeepStep(rows: removed, isLast: removed == 0)
      },
    ]
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
