internal import Postgres

enum MetricsQueries {
  struct GetWriterRow: Sendable, Equatable {
    var lastSequence: Int64
    var updatedAt: Int64
  }
  private static let getWriterStatement = Statement(
    "tracking.getWriter",
    """
    select
        last_sequence,
        updated_at
    from metric_writers
    where organization_id = $1 and writer_id = $2
    """, parameters: [2950, 2950], columns: [20, 1184])
  static func getWriter(organizationID: UUID, writerID: UUID) -> Query<GetWriterRow?> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: writerID)
    return Query(getWriterStatement, parameters) { reply throws(PostgresError) in
      try reply.optional { row throws(PostgresError) in GetWriterRow(lastSequence: try row.int8(0), updatedAt: try row.timestamp(1)) }
    }
  }

  struct ListMetricSummariesRow: Sendable, Equatable {
    var key: String
    var pointCount: Int64
    var firstStep: Int64
    var lastStep: Int64
    var lastTimeUs: Int64
    var lastValue: Double
    var minValue: Double
    var maxValue: Double
  }
  private static let listMetricSummariesStatement = Statement(
    "tracking.listMetricSummaries",
    """
    select
        key,
        point_count,
        first_step,
        last_step,
        last_time_us,
        last_value,
        min_value,
        max_value
    from run_metric_summaries
    where
        organization_id = $1
        and run_id = $2
        and key > $3
    order by key
    limit $4::bigint
    """, parameters: [2950, 2950, 25, 20], columns: [25, 20, 20, 20, 20, 701, 701, 701])
  static func listMetricSummaries(organizationID: UUID, runID: UUID, afterKey: String, pageSize: Int64) -> Query<[ListMetricSummariesRow]> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: runID)
    parameters.append(text: afterKey)
    parameters.append(int8: pageSize)
    return Query(listMetricSummariesStatement, parameters) { reply throws(PostgresError) in
      try reply.many { row throws(PostgresError) in ListMetricSummariesRow(key: try row.text(0), pointCount: try row.int8(1), firstStep: try row.int8(2), lastStep: try row.int8(3), lastTimeUs: try row.int8(4), lastValue: try row.float8(5), minValue: try row.float8(6), maxValue: try row.float8(7)) }
    }
  }

  struct ListChunksByStepRow: Sendable, Equatable {
    var id: UUID
    var epoch: Int64
    var pointCount: Int64
    var minStep: Int64
    var maxStep: Int64
    var firstStep: Int64
    var stepStride: Int64?
    var stepOffsets: [Int32]?
    var steps: [Int64]?
    var firstTimeUs: Int64
    var timeStrideUs: Int64?
    var timeOffsetsUs: [Int32]?
    var timesUs: [Int64]?
    var pointValues: [Double]
  }
  private static let listChunksByStepStatement = Statement(
    "tracking.listChunksByStep",
    """
    select
        id,
        epoch,
        point_count,
        min_step,
        max_step,
        first_step,
        step_stride,
        step_offsets,
        steps,
        first_time_us,
        time_stride_us,
        time_offsets_us,
        times_us,
        point_values
    from metric_chunks
    where
        organization_id = $1
        and run_id = $2
        and key = $3
        and (min_step, id) > ($4::bigint, $5::uuid)
        and max_step >= $6::bigint
    order by min_step, id
    limit $7::bigint
    """, parameters: [2950, 2950, 25, 20, 2950, 20, 20], columns: [2950, 20, 20, 20, 20, 20, 20, 1007, 1016, 20, 20, 1007, 1016, 1022])
  static func listChunksByStep(organizationID: UUID, runID: UUID, key: String, afterMinStep: Int64, afterID: UUID, fromStep: Int64, pageSize: Int64) -> Query<[ListChunksByStepRow]> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: runID)
    parameters.append(text: key)
    parameters.append(int8: afterMinStep)
    parameters.append(uuid: afterID)
    parameters.append(int8: fromStep)
    parameters.append(int8: pageSize)
    return Query(listChunksByStepStatement, parameters) { reply throws(PostgresError) in
      try reply.many { row throws(PostgresError) in ListChunksByStepRow(id: try row.uuid(0), epoch: try row.int8(1), pointCount: try row.int8(2), minStep: try row.int8(3), maxStep: try row.int8(4), firstStep: try row.int8(5), stepStride: try row.int8OrNil(6), stepOffsets: try row.int4sOrNil(7), steps: try row.int8sOrNil(8), firstTimeUs: try row.int8(9), timeStrideUs: try row.int8OrNil(10), timeOffsetsUs: try row.int4sOrNil(11), timesUs: try row.int8sOrNil(12), pointValues: try row.float8s(13)) }
    }
  }

  struct GetSnapshotRow: Sendable, Equatable {
    var snapshot: String
    var clusterID: String
  }
  private static let getSnapshotStatement = Statement(
    "tracking.getSnapshot",
    """
    select
        pg_current_snapshot()::text as "snapshot!",
        needletail_cluster_id() as "cluster_id!"
    """, parameters: [], columns: [25, 25])
  static func getSnapshot() -> Query<GetSnapshotRow> {
    let parameters = Parameters()
    return Query(getSnapshotStatement, parameters) { reply throws(PostgresError) in
      try reply.one { row throws(PostgresError) in GetSnapshotRow(snapshot: try row.text(0), clusterID: try row.text(1)) }
    }
  }

  struct GetRunChangeRow: Sendable, Equatable {
    var id: UUID
    var experimentID: UUID
    var projectID: UUID
    var name: String
    var description: String
    var status: String
    var startedAt: Int64?
    var completedAt: Int64?
    var durationMs: Int64?
    var createdBy: UUID
    var createdAt: Int64
    var updatedAt: Int64
    var revision: Int64
  }
  private static let getRunChangeStatement = Statement(
    "tracking.getRunChange",
    """
    select
        run.id,
        run.experiment_id,
        run.project_id,
        run.name,
        run.description,
        run.status,
        run.started_at,
        run.completed_at,
        run.duration_ms,
        run.created_by,
        run.created_at,
        run.updated_at,
        run.revision
    from runs as run
    where
        run.organization_id = $1
        and run.id = $2
        and run.deleted_at is null
        and not pg_visible_in_snapshot(run.xid, ($3::text)::pg_snapshot)
        and pg_visible_in_snapshot(run.xid, ($4::text)::pg_snapshot)
    """, parameters: [2950, 2950, 25, 25], columns: [2950, 2950, 2950, 25, 25, 25, 1184, 1184, 20, 2950, 1184, 1184, 20])
  static func getRunChange(organizationID: UUID, runID: UUID, sinceSnapshot: String, untilSnapshot: String) -> Query<GetRunChangeRow?> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: runID)
    parameters.append(text: sinceSnapshot)
    parameters.append(text: untilSnapshot)
    return Query(getRunChangeStatement, parameters) { reply throws(PostgresError) in
      try reply.optional { row throws(PostgresError) in GetRunChangeRow(id: try row.uuid(0), experimentID: try row.uuid(1), projectID: try row.uuid(2), name: try row.text(3), description: try row.text(4), status: try row.text(5), startedAt: try row.timestampOrNil(6), completedAt: try row.timestampOrNil(7), durationMs: try row.int8OrNil(8), createdBy: try row.uuid(9), createdAt: try row.timestamp(10), updatedAt: try row.timestamp(11), revision: try row.int8(12)) }
    }
  }

  struct ListChunksBetweenRow: Sendable, Equatable {
    var id: UUID
    var xid: String
    var key: String
    var epoch: Int64
    var pointCount: Int64
    var firstStep: Int64
    var stepStride: Int64?
    var stepOffsets: [Int32]?
    var steps: [Int64]?
    var firstTimeUs: Int64
    var timeStrideUs: Int64?
    var timeOffsetsUs: [Int32]?
    var timesUs: [Int64]?
    var pointValues: [Double]
  }
  private static let listChunksBetweenStatement = Statement(
    "tracking.listChunksBetween",
    """
    select
        id,
        xid::text as "xid!",
        key,
        epoch,
        point_count,
        first_step,
        step_stride,
        step_offsets,
        steps,
        first_time_us,
        time_stride_us,
        time_offsets_us,
        times_us,
        point_values
    from metric_chunks
    where
        organization_id = $1
        and run_id = $2
        and xid >= pg_snapshot_xmin(($3::text)::pg_snapshot)
        and (xid, id) > (($4::text)::xid8, $5::uuid)
        and not pg_visible_in_snapshot(xid, ($3::text)::pg_snapshot)
        and pg_visible_in_snapshot(xid, ($6::text)::pg_snapshot)
    order by xid, id
    limit $7::bigint
    """, parameters: [2950, 2950, 25, 25, 2950, 25, 20], columns: [2950, 25, 25, 20, 20, 20, 20, 1007, 1016, 20, 20, 1007, 1016, 1022])
  static func listChunksBetween(organizationID: UUID, runID: UUID, sinceSnapshot: String, afterXid: String, afterID: UUID, untilSnapshot: String, pageSize: Int64) -> Query<[ListChunksBetweenRow]> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: runID)
    parameters.append(text: sinceSnapshot)
    parameters.append(text: afterXid)
    parameters.append(uuid: afterID)
    parameters.append(text: untilSnapshot)
    parameters.append(int8: pageSize)
    return Query(listChunksBetweenStatement, parameters) { reply throws(PostgresError) in
      try reply.many { row throws(PostgresError) in ListChunksBetweenRow(id: try row.uuid(0), xid: try row.text(1), key: try row.text(2), epoch: try row.int8(3), pointCount: try row.int8(4), firstStep: try row.int8(5), stepStride: try row.int8OrNil(6), stepOffsets: try row.int4sOrNil(7), steps: try row.int8sOrNil(8), firstTimeUs: try row.int8(9), timeStrideUs: try row.int8OrNil(10), timeOffsetsUs: try row.int4sOrNil(11), timesUs: try row.int8sOrNil(12), pointValues: try row.float8s(13)) }
    }
  }

}