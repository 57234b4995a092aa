internal import EventLoop
public import Messages
internal import Postgres
public import RPC

/// The bounds of reading the audit log.
enum AuditBounds {
  static let pageSize = 100
  static let pageSizeMax = 1_000
  /// A page of entries with large details ends before its size is reached.
  static let pageBytesMax: Int64 = 4 << 20
  /// Entries of one message of an export.
  static let batchSize: Int64 = 500
  static let batchBytesMax: Int64 = 256 << 10
}

extension IdentityService {
  /// Lists entries of the audit log, newest first.
  public func listAuditLogs(
    _ request: ListAuditLogsRequest, _ call: CallContext
  ) async throws(CallError) -> ListAuditLogsResponse {
    var validator = Validator()
    let query = AuditQuery(request.filter, &validator)
    let size = validator.pageSize(
      request.pageSize, standard: AuditBounds.pageSize, max: AuditBounds.pageSizeMax)
    try validator.finish()
    let page = Page(purpose: query.purpose, size: size)
    let before = try page.start(request.pageToken) ?? .greatest

    let rows = try await call.readPage(
      query, before: min(query.beforeID, before), rows: page.rowsToRead)
    var response = ListAuditLogsResponse()
    response.auditLogs = rows.prefix(size).map { AuditLog($0) }
    if let last = rows.prefix(size).last, Int(last.rowsRead) > response.auditLogs.count {
      response.nextPageToken = Token.make(last.id.bytes, for: page.purpose)
    }
    return response
  }

  /// Sends entries of the audit log, all of them up to the horizon, oldest first.
  ///
  /// Each batch is a read of its own, made when the caller has room for what came before, so that a
  /// slow one holds neither a transaction nor more than a batch.
  public func exportAuditLogs(
    _ request: ExportAuditLogsRequest,
    _ responses: ResponseStream<ExportAuditLogsResponse>,
    _ call: CallContext
  ) async throws(CallError) {
    var validator = Validator()
    let query = AuditQuery(request.filter, &validator)
    let last = validator.optionalID("after", request.after)
    try validator.finish()

    // Entries are not committed in the order of their ids: what is younger than the horizon may
    // still come below one that is there.
    let horizon = call.server.settings.auditExportHorizon.wholeNanoseconds / 1_000
    let end = UUID.floor(microseconds: WallClock.microseconds() - Int64(clamping: horizon))
    let before = min(query.beforeID, end)
    var after = max(query.afterID, last ?? .zero)
    while after < before {
      let rows = try await call.readPlanned(
        AuditLogsQueries.exportAuditLogs(
          organizationID: call.principal.organizationID, afterID: after, beforeID: before,
          actorID: query.actorID, apiKeyID: query.apiKeyID, action: query.action,
          actionFrom: query.actionFrom, actionBefore: query.actionBefore,
          resourceType: query.resourceType, resourceID: query.resourceID, outcome: query.outcome,
          fromTime: query.from, untilTime: query.until, pageSize: AuditBounds.batchSize,
          bytesMax: AuditBounds.batchBytesMax))
      guard let newest = rows.last else { return }
      var response = ExportAuditLogsResponse()
      response.auditLogs = rows.map { AuditLog($0) }
      try await responses.send(response)
      if newest.rowsRead < AuditBounds.batchSize, Int(newest.rowsRead) == rows.count { return }
      after = newest.id
    }
  }
}

extension CallContext {
  /// Reads a page of entries, newest first.
  fileprivate func readPage(
    _ query: AuditQuery, before: UUID, rows: Int64
  ) async throws(CallError) -> [any AuditLogRow] {
    if let actionFrom = query.actionFrom, let actionBefore = query.actionBefore {
      return try await readPlanned(
        AuditLogsQueries.listAuditLogsOfActions(
          organizationID: principal.organizationID, actionFrom: actionFrom,
          actionBefore: actionBefore, afterID: query.afterID, beforeID: before,
          actorID: query.actorID, apiKeyID: query.apiKeyID, resourceType: query.resourceType,
          resourceID: query.resourceID, outcome: query.outcome, fromTime: query.from,
          untilTime: query.until, pageSize: rows, bytesMax: AuditBounds.pageBytesMax))
    }
    return try await readPlanned(
      AuditLogsQueries.listAuditLogs(
        organizationID: principal.organizationID, afterID: query.afterID, beforeID: before,
        actorID: query.actorID, apiKeyID: query.apiKeyID, action: query.action,
        resourceType: query.resourceType, resourceID: query.resourceID, outcome: query.outcome,
        fromTime: query.from, untilTime: query.until, pageSize: rows,
        bytesMax: AuditBounds.pageBytesMax))
  }

  /// Runs one statement that changes nothing, planned for its values.
  fileprivate func readPlanned<Row>(_ query: Query<[Row]>) async throws(CallError) -> [Row] {
    do throws(PostgresError) {
      let (_, rows) = try await database.read(work, AuditLogsQueries.planForValues(), query)
      return rows
    } catch {
      throw callError(error)
    }
  }
}

extension AuditLog {
  fileprivate init(_ row: some AuditLogRow) {
    self.init()
    id = row.id.description
    actorType = row.actorType
    actorID = row.actorID?.description ?? ""
    actorLabel = row.actorLabel
    apiKeyID = row.apiKeyID?.description ?? ""
    action = row.action
    outcome = row.outcome == "denied" ? .denied : .success
    reason = row.reason ?? ""
    resourceType = row.resourceType
    resourceID = row.resourceID?.description ?? ""
    projectID = row.projectID?.description ?? ""
    detailsJSON = row.detailsJSON
    ipAddress = row.ipAddress ?? ""
    client = row.userAgent ?? ""
    requestID = row.requestID ?? ""
    createdAt = Timestamp(microseconds: row.createdAt)
  }
}

/// What the statements return of an entry.
private protocol AuditLogRow {
  var id: UUID { get }
  var actorType: String { get }
  var actorID: UUID? { get }
  var actorLabel: String { get }
  var apiKeyID: UUID? { get }
  var action: String { get }
  var outcome: String { get }
  var reason: String? { get }
  var resourceType: String { get }
  var resourceID: UUID? { get }
  var projectID: UUID? { get }
  var detailsJSON: String { get }
  var ipAddress: String? { get }
  var userAgent: String? { get }
  var requestID: String? { get }
  var createdAt: Int64 { get }
  var rowsRead: Int64 { get }
}

extension AuditLogsQueries.ListAuditLogsRow: AuditLogRow {}
extension AuditLogsQueries.ListAuditLogsOfActionsRow: AuditLogRow {}
extension AuditLogsQueries.ExportAuditLogsRow: AuditLogRow {}
