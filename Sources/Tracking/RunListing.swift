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
    let page = Page(
      purpose: "runs \(request.experimentID.lowercased()) \(request.projectID.lowercased()) "
        + "\(request.status.number)", size: size)
    let rows = try await rows(
      experimentID, projectID, status, before: try page.start(request.pageToken), page, call)
    let now = WallClock.microseconds()
    var response = ListRunsResponse()
    response.runs = rows.prefix(size).map { Run($0, now: now) }
    response.nextPageToken = page.next(rows.map(\.id))
    return response
  }

  /// Reads the page by the index that fits its filter.
  private func rows(
    _ experimentID: UUID?, _ projectID: UUID?, _ status: RunLifecycle.Status?, before: UUID?,
    _ page: Page, _ call: CallContext
  ) async throws(CallError) -> [RunRecord] {
    let organizationID = call.principal.organizationID
    if let experimentID {
      return try await call.read(
        RunsQueries.listExperimentRuns(
          organizationID: organizationID, experimentID: experimentID, projectID: projectID,
          beforeID: before, status: status?.text, seesAllProjects: call.seesAllProjects,
          userID: call.principal.id, pageSize: page.rowsToRead)
      ).map { RunRecord($0) }
    }
    if let projectID {
      return try await call.read(
        RunsQueries.listProjectRuns(
          organizationID: organizationID, projectID: projectID, beforeID: before,
          status: status?.text, seesAllProjects: call.seesAllProjects, userID: call.principal.id,
          pageSize: page.rowsToRead)
      ).map { RunRecord($0) }
    }
    if let status {
      return try await call.read(
        RunsQueries.listRunsByStatus(
          organizationID: organizationID, status: status.text, beforeID: before,
          seesAllProjects: call.seesAllProjects, userID: call.principal.id,
          pageSize: page.rowsToRead)
      ).map { RunRecord($0) }
    }
    return try await call.read(
      RunsQueries.listRuns(
        organizationID: organizationID, beforeID: before, seesAllProjects: call.seesAllProjects,
        userID: call.principal.id, pageSize: page.rowsToRead)
    ).map { RunRecord($0) }
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
}

extension RunsQueries.GetRunRow: RunRow {}
extension RunsQueries.LockRunRow: RunRow {}
extension RunsQueries.ListRunsRow: RunRow {}
extension RunsQueries.ListRunsByStatusRow: RunRow {}
extension RunsQueries.ListProjectRunsRow: RunRow {}
extension RunsQueries.ListExperimentRunsRow: RunRow {}
extension MetricsQueries.GetRunChangeRow: RunRow {}

extension RunRecord {
  /// A run as a statement returned it.
  init(_ row: some RunRow) {
    self.init(
      id: row.id, experimentID: row.experimentID, projectID: row.projectID, name: row.name,
      description: row.description, status: RunLifecycle.Status(text: row.status),
      startedAt: row.startedAt, completedAt: row.completedAt, createdBy: row.createdBy,
      createdAt: row.createdAt, updatedAt: row.updatedAt, revision: row.revision)
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
  }
}
