internal import Messages
internal import Postgres
internal import RPC

/// The bounds of searches for runs.
enum RunSearchBounds {
  /// Experiments that a search names.
  static let experimentIDsMax = 1_000
  /// Keys of one kind that a search asks for.
  static let includedKeysMax = 100
  /// Bytes of one kind that come along with a page; what is beyond waits for the next.
  static let includedBytesMax: Int64 = 1 << 20
  /// Bytes of all kinds together, so that they fit a frame.
  static let includedBytesInAllMax: Int64 = 3 << 20
}

/// With which reasons searches are refused.
let searchReasons = SearchReasons(
  filterInvalid: TrackingErrorReason.filterInvalid,
  orderInvalid: TrackingErrorReason.orderInvalid,
  timedOut: TrackingErrorReason.searchTimedOut)

/// What runs are searched by.
enum RunSearch {
  static let schema = SearchSchema(
    table: "runs as run", alias: "run",
    columns: """
      run.id, run.experiment_id, run.project_id, run.name, run.description, run.status,
          run.started_at, run.completed_at, run.created_by, run.created_at, run.updated_at,
          run.revision, run.parent_run_id, needletail_source_texts(run.source),
          run.forked_from_run_id, run.forked_at_step, run.is_pinned, run.archived_at,
          run.deleted_at, run.purge_after
      """,
    columnCount: 20,
    entities: ["attributes", "attribute", "attr", "run"],
    attributes: [
      SearchAttribute(["run_id", "id"], "id", .uuid),
      SearchAttribute(["run_name", "name", "run name", "Run name"], "name", .text),
      SearchAttribute(
        ["status"], "status",
        .word(
          aliases: ["FINISHED": "COMPLETED", "KILLED": "CANCELLED", "CANCELED": "CANCELLED"],
          all: ["SCHEDULED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"])),
      SearchAttribute(["artifact_uri"], "needletail_artifact_uri", .text),
      SearchAttribute(["start_time", "created", "Created"], "started_at", .time, isNullable: true),
      SearchAttribute(["end_time"], "completed_at", .time, isNullable: true),
      SearchAttribute(["duration_ms"], "duration_ms", .integer, isNullable: true),
      SearchAttribute(["user_id", "created_by"], "created_by", .uuid),
      SearchAttribute(["experiment_id"], "experiment_id", .uuid),
      SearchAttribute(["project_id"], "project_id", .uuid),
      SearchAttribute(["parent_run_id"], "parent_run_id", .uuid, isNullable: true),
      SearchAttribute(["creation_time"], "created_at", .time),
      SearchAttribute(["last_update_time"], "updated_at", .time),
      SearchAttribute(["archive_time"], "archived_at", .time, isNullable: true),
      SearchAttribute(["delete_time"], "deleted_at", .time, isNullable: true),
    ],
    pairs: [
      SearchPairs(
        numbers: ["metrics", "metric"], "run_metric_summaries", owner: "run_id",
        value: "last_value", settled: "settled_value"),
      SearchPairs(
        texts: ["params", "param", "parameters", "parameter"], "run_parameters", owner: "run_id"),
      SearchPairs(texts: ["tags", "tag"], "run_tags", owner: "run_id"),
      SearchPairs(
        several: ["datasets", "dataset"], "run_dataset_fields", owner: "run_id",
        keys: ["name", "digest", "context"],
        presence: SearchPresence("run_inputs", of: ["name", "digest"])),
    ])

  /// Adds what bounds a search for runs: the caller's organization, projects and experiments, and
  /// whether what is archived or deleted is found.
  static func restriction(
    _ call: CallContext, _ bounds: RunBoundary
  ) -> @Sendable (inout ComposedStatement) -> Void {
    let visibility = ProjectVisibility(call)
    return { sql in
      // What idx_runs_started asks for.
      sql.add("\n    and run.created_at is not null")
      bounds.view.add("run", to: &sql)
      if !bounds.includesArchived { sql.add("\n    and run.archived_at is null") }
      if let projectID = bounds.projectID {
        sql.add("\n    and run.project_id = ")
        sql.add(uuid: projectID)
      }
      sql.addExperiments(bounds.experimentIDs, of: "run")
      visibility.add("run", to: &sql)
    }
  }

  /// Reads a run as the schema's columns have it.
  static func read(_ row: borrowing Row) throws(PostgresError) -> RunRecord {
    var record = RunRecord(
      id: try row.uuid(0), experimentID: try row.uuid(1), projectID: try row.uuid(2),
      name: try row.text(3), description: try row.text(4),
      status: RunLifecycle.Status(text: try row.text(5)), startedAt: try row.timestampOrNil(6),
      completedAt: try row.timestampOrNil(7), createdBy: try row.uuid(8),
      createdAt: try row.timestamp(9), updatedAt: try row.timestamp(10),
      revision: try row.int8(11), parentRunID: try row.uuidOrNil(12),
      source: SourceText.source(try row.textsOrNil(13)), isPinned: try row.bool(16),
      archivedAt: try row.timestampOrNil(17))
    record.deletedAt = try row.timestampOrNil(18)
    record.purgeAfter = try row.timestampOrNil(19)
    if let runID = try row.uuidOrNil(14) {
      record.forkedFrom = RunRecord.Fork(runID: runID, step: try row.int8OrNil(15) ?? 0)
    }
    return record
  }
}

/// Whether a search finds what was deleted.
enum SearchView: String {
  case live, deleted, all

  /// Reads a request's view.
  init(_ view: LifeView, _ validator: inout Validator) {
    switch view {
    case .unspecified, .live: self = .live
    case .deleted: self = .deleted
    case .all: self = .all
    default:
      validator.refuse("view", "must be LIVE, DELETED, ALL or unspecified")
      self = .live
    }
  }

  /// Adds ` and …` on the column `deleted_at` of `alias`.
  func add(_ alias: StaticString, to sql: inout ComposedStatement) {
    guard self != .all else { return }
    sql.add("\n    and ")
    sql.add(alias, "deleted_at")
    sql.add(self == .live ? " is null" : " is not null")
  }
}
