internal import EventLoop
internal import Postgres
public import RPC

/// The upkeep of traces.
public enum TraceUpkeep {
  /// Removal of traces whose time is over, where they have one.
  ///
  /// - Parameter settings: How often, how much at once, and how long traces stay.
  /// - Returns: The tasks.
  public static func tasks(_ settings: HousekeepingSettings) -> [UpkeepTask] {
    guard let keptFor = settings.tracesKeptFor else { return [] }
    return [
      UpkeepTask("trace-retention", every: settings.interval) {
        (database) async throws(PostgresError) in
        let removed = try await database.commit(
          Upkeep.work(database),
          TracesQueries.expireTraces(
            before: WallClock.microseconds() - keptFor.microseconds,
            batchSize: settings.batchSize))
        return UpkeepStep(rows: removed, isLast: removed == 0)
      }
    ]
  }
}
