internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension TrackingService {
  /// Lists runs, newest first.
  public func listRuns(
    _ request: ListRunsRequest, _ call: CallContext
  ) async throws(CallError) -> ListRunsResponse {
    var validator = Validator()
    let experimentID = validator.optionalID("experiment_id", request.experimentID)
    let projectID = validator.optionalID("project_id", request.projectID)
    let status = RunLifecycle.Status(request.status)
    if status == nil, request.status != .unspecified {
      validator.refuse("status", "must be a known status or unspecified")
    }
    let size = validator.pageSize(
      request.pageSize, standard: RunBounds.pageSize, max: RunBounds.pageSizeMax)
    try validator.finish()
    let filter = Filter(
      experimentID: experimentID, projectID: projectID, status: status?.text,
      includesArchived: request.includeArchived)
    let purpose =
      "runs \(request.experimentID.lowercased()) \(request.projectID.lowercased()) "
      + "\(request.status.number) \(request.includeArchived) \(request.deleted)"
    let now = WallClock.microseconds()
    var response = ListRunsResponse()
    if request.deleted {
      let page = Page(purpose: purpose, size: size)
      let rows = try await deletedRows(filter, now, page, try page.start(request.pageToken), call)
      response.runs = rows.prefix(size).map { Run($0, now: now) }
      response.nextPageToken = page.next(rows.map(\.id))
    } else {
      let page = try await filter.page(request.pageToken, purpose, size: size, call)
      response.runs = page.values.map { Run($0, now: now) }
      response.nextPageToken = page.next(after: page.values.count)
    }
    return response
  }

  /// What a page of runs is of.
  private struct Filter {
    var experimentID: UUID?
    var projectID: UUID?
    var status: String?
    var includesArchived: Bool

    /// Reads a page as a search without a filter, which is planned for whatever is asked for.
    func page(
      _ token: String, _ purpose: String, size: Int, _ call: CallContext
    ) async throws(CallError) -> SearchPage<RunRecord> {
      let status = status
      let restriction = RunSearch.restriction(
        call,
        RunBoundary(
          projectID: projectID, experimentIDs: experimentID.map { [$0] } ?? [],
          includesArchived: includesArchived, view: .live))
      let search = try call.search(
        RunSearch.schema, filter: "", orderBy: [], searchReasons
      ) { sql in
        restriction(&sql)
        guard let status else { return }
        sql.add("\n    and run.status = ")
        sql.add(text: status)
      }
      return try await call.page(
        search, "tracking.listRuns", size: size, token: token, purpose: purpose, searchReasons,
        id: \.id
      ) { row throws(PostgresError) in try RunSearch.read(row) }
    }
  }

  /// Reads a page of what can be brought back.
  private func deletedRows(
    _ filter: Filter, _ now: Int64, _ page: Page, _ beforeID: UUID?, _ call: CallContext
  ) async throws(CallError) -> [RunRecord] {
    try await call.read(
      RunLifeQueries.listDeletedRuns(
        organizationID: call.principal.organizationID, beforeID: beforeID,
        experimentID: filter.experimentID, projectID: filter.projectID, status: filter.status,
        now: now, seesAllProjects: call.seesAllProjects, userID: call.principal.id,
        pageSize: page.rowsToRead)
    ).map { row in
      var record = RunRecord(row)
      record.deletedAt = row.deletedAt
      record.purgeAfter = row.purgeAfter
      return record
    }
  }
}

/// What every statement returns of a run.
protocol RunRow {
  var id: UUID { get }
  var experimentID: UUID { get }
  var projectID: UUID { get }
  var name: String { get }
  var description: String { get }
  var status: String { get }
  var startedAt: Int64? { get }
  var completedAt: Int64? { get }
  var createdBy: UUID { get }
  var createdAt: Int64 { get }
  var updatedAt: Int64 { get }
  var revision: Int64 { get }
  var parentRunID: UUID? { get }
  var source: [String]? { get }
  var forkedFromRunID: UUID? { get }
  var forkedAtStep: Int64? { get }
  var isPinned: Bool { get }
  var archivedAt: Int64? { get }
}

extension RunsQueries.GetRunRow: RunRow {}
extension RunsQueries.LockRunRow: RunRow {}
extension RunLifeQueries.LockRunToRecoverRow: RunRow {}
extension RunLifeQueries.ListDeletedRunsRow: RunRow {}
extension MetricsQueries.GetRunChangeRow: RunRow {}

extension RunRecord {
  /// A run as a statement returned it.
  init(_ row: some RunRow) {
    self.init(
      id: row.id, experimentID: row.experimentID, projectID: row.projectID, name: row.name,
      description: row.description, status: RunLifecycle.Status(text: row.status),
      startedAt: row.startedAt, completedAt: row.completedAt, createdBy: row.createdBy,
      createdAt: row.createdAt, updatedAt: row.updatedAt, revision: row.revision,
      parentRunID: row.parentRunID, source: SourceText.source(row.source), isPinned: row.isPinned,
      archivedAt: row.archivedAt)
    isFork = row.forkedAtStep != nil
    if let runID = row.forkedFromRunID {
      forkedFrom = RunRecord.Fork(runID: runID, step: row.forkedAtStep ?? 0)
    }
  }
}

extension Run {
  /// A run as callers see it; `now` tells how long it has been running.
  init(_ record: RunRecord, now: Int64) {
    self.init()
    id = record.id.description
    experimentID = record.experimentID.description
    projectID = record.projectID.description
    name = record.name
    description = record.description
    status = record.status.message
    startedAt = record.startedAt.map { Timestamp(microseconds: $0) }
    completedAt = record.completedAt.map { Timestamp(microseconds: $0) }
    durationMs = record.duration(now: now)
    createdBy = record.createdBy.description
    createdAt = Timestamp(microseconds: record.createdAt)
    updatedAt = Timestamp(microseconds: record.updatedAt)
    etag = String(record.revision)
    parentRunID = record.parentRunID?.description ?? ""
    source = record.source
    forkedFrom = record.forkedFrom.map { RunFork(runID: $0.runID.description, step: $0.step) }
    pinned = record.isPinned
    archivedAt = record.archivedAt.map { Timestamp(microseconds: $0) }
    deletedAt = record.deletedAt.map { Timestamp(microseconds: $0) }
    purgeAfter = record.purgeAfter.map { Timestamp(microseconds: $0) }
  }
}
