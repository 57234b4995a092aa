internal import EventLoop
public import Postgres

/// What has to be done now and then, by any one server process.
public enum Housekeeping {
  /// How far ahead partitions are made, in months.
  public static let monthsAhead: Int32 = 3
  /// How long an idempotency key is remembered.
  public static let keptFor: Duration = .seconds(24 * 3_600)
  /// Idempotency records that one statement deletes.
  public static let batchSize: Int64 = 1_000

  /// Makes the partitions of the coming months and forgets old idempotency keys.
  ///
  /// - Parameter database: Connected as the maintenance role.
  public static func run(_ database: Database) async throws(PostgresError) {
    let work = Work(
      scope: .none, deadline: database.loop.now.advanced(by: .seconds(60)), cancellation: nil)
    _ = try await database.commit(
      work, MaintenanceQueries.ensurePartitions(monthsAhead: monthsAhead))
    let before =
      WallClock.microseconds() - Int64(clamping: keptFor.wholeNanoseconds / 1_000)
    while true {
      let deleted = try await database.commit(
        work, MaintenanceQueries.deleteIdempotencyRecords(before: before, batchSize: batchSize))
      if deleted < batchSize { return }
    }
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
