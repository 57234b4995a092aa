public import Messages
internal import Postgres
public import RPC

/// What issues are searched by.
enum IssueSearch {
  /// The worst first, of those the ones that most traces show, then the newest.
  static func standardOrder(byTraceCount: Bool) -> [String] {
    ["severity DESC"] + (byTraceCount ? ["trace_count DESC"] : []) + ["created_time DESC"]
  }

  static let schema = SearchSchema(
    table: "live_issues as issue", alias: "issue", columns: "issue.id", columnCount: 1,
    entities: ["attributes", "attribute", "attr", "issue"],
    attributes: [
      SearchAttribute(["issue_id", "id"], "id", .uuid),
      SearchAttribute(["experiment_id"], "experiment_id", .uuid),
      SearchAttribute(["name"], "name", .text),
      SearchAttribute(["description"], "description", .text),
      SearchAttribute(
        ["status"], "status", .word(aliases: [:], all: ["PENDING", "REJECTED", "RESOLVED"])),
      SearchAttribute(
        ["severity"], "severity",
        .word(aliases: [:], all: ["NOT_AN_ISSUE", "LOW", "MEDIUM", "HIGH"]), isNullable: true,
        rank: "severity_rank"),
      SearchAttribute(["severity_rank"], "severity_rank", .integer),
      SearchAttribute(["source_run_id"], "source_run_id", .uuid, isNullable: true),
      SearchAttribute(["created_by", "author"], "author", .text, isNullable: true),
      SearchAttribute(["created_time", "create_time"], "create_time_ms", .integer),
      SearchAttribute(["last_update_time", "update_time"], "update_time_ms", .integer),
      SearchAttribute(["trace_count"], "trace_count", .integer),
    ],
    pairs: [])

  /// Bounds a search to a project, and to these experiments of it.
  static func restriction(
    _ projectID: UUID, _ experimentIDs: [UUID]
  ) -> @Sendable (inout ComposedStatement) -> Void {
    { sql in
      sql.add("\n    and issue.project_id = ")
      sql.add(uuid: projectID)
      sql.addExperiments(experimentIDs, of: "issue")
    }
  }
}

extension TracingService {
  /// Finds issues by a filter, in any order.
  public func searchIssues(
    _ request: SearchIssuesRequest, _ call: CallContext
  ) async throws(CallError) -> SearchIssuesResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    let experimentIDs = validator.evaluationIDs(
      "experiment_ids", request.experimentIDs, count: 0...TraceBounds.experimentIDsMax)
    let size = validator.pageSize(
      request.pageSize, standard: IssueBounds.pageSize, max: IssueBounds.pageSizeMax)
    try validator.finish()
    try await requireLook(at: projectID, call)

    let order =
      request.orderBy.isEmpty
      ? IssueSearch.standardOrder(byTraceCount: request.withTraceCounts) : request.orderBy
    let search = try call.search(
      IssueSearch.schema, filter: request.filter, orderBy: order, isNarrow: true,
      TraceSearch.reasons, restriction: IssueSearch.restriction(projectID, experimentIDs))
    let purpose =
      ([
        "issue search", projectID.description,
        experimentIDs.map(\.description).joined(separator: " "), request.filter,
      ] + order).joined(separator: "\u{1f}")
    let page = try await call.page(
      search, "tracing.searchIssues", size: size, token: request.pageToken, purpose: purpose,
      TraceSearch.reasons, id: \.self
    ) { row throws(PostgresError) in try row.uuid(0) }
    let rows = try await call.read(
      issues(page.values, in: projectID, withTraceCounts: request.withTraceCounts, call),
      TraceSearch.reasons)
    var response = SearchIssuesResponse()
    response.issues = rows.map { Issue($0) }
    // One that went meanwhile is passed over.
    let last = rows.last.flatMap { page.values.lastIndex(of: $0.id) }
    let isCut = (rows.last?.bytes ?? 0) > TraceBounds.pageBytesMax
    response.nextPageToken = page.next(after: isCut ? (last ?? 0) + 1 : page.values.count)
    return response
  }
}
