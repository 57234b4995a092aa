internal import EventLoop
internal import Postgres
public import RPC

/// The upkeep of points.
public enum MetricUpkeep {
  /// Merging of chunks with their rollups, and removal of what is over.
  ///
  /// - Parameter settings: How often, how much at once, and how long points stay.
  /// - Returns: The tasks.
  public static func tasks(_ settings: HousekeepingSettings) -> [UpkeepTask] {
    [
      UpkeepTask("metric-values", every: settings.settlingInterval) {
        (database) async throws(PostgresError) in
        let values = try await database.commit(
          Upkeep.work(database),
          MetricMaintenanceQueries.settleMetrics(
            before: WallClock.microseconds() - settings.settlingInterval.microseconds,
            batchSize: settings.batchSize))
        return UpkeepStep(rows: values, isLast: values < settings.batchSize)
      },
      UpkeepTask("metric-compaction", every: settings.compactionInterval) {
        (database) async throws(PostgresError) in
        let chunks = try await database.commit(
          Upkeep.work(database),
          MetricMaintenanceQueries.compactMetrics(
            before: WallClock.microseconds() - settings.compactionDelay.microseconds,
            batchSize: settings.compactionBatchSize))
        return UpkeepStep(rows: chunks, isLast: chunks == 0)
      },
      UpkeepTask("metric-retention", every: settings.interval) {
        (database) async throws(PostgresError) in
        let now = WallClock.microseconds()
        let (points, rollups) = (
          now - settings.pointsKeptFor.microseconds, now - settings.rollupsKeptFor.microseconds
        )
        let removed = try await database.commit(
          Upkeep.work(database),
          MetricMaintenanceQueries.expireMetrics(
            pointsBefore: points, rollupsBefore: rollups, batchSize: settings.batchSize))
        if removed > 0 { return UpkeepStep(rows: removed, isLast: false) }
        let dropped = try await database.commit(
          Upkeep.work(database),
          MetricMaintenanceQueries.dropEmptyPartition(
            pointsBefore: points, rollupsBefore: rollups))
        return UpkeepStep(rows: 0, isLast: dropped == 0)
      },
    ]
  }
}
