internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension TracingService {
  /// Creates an issue of an experiment.
  public func createIssue(
    _ request: CreateIssueRequest, _ call: CallContext
  ) async throws(CallError) -> CreateIssueResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    let experimentID = validator.id("experiment_id", request.experimentID)
    let runID = request.sourceRunID.map { validator.id("source_run_id", $0) }
    validator.check(request)
    try validator.finish()

    let place = IssuePlace(projectID: projectID, id: call.nextID())
    let organizationID = call.principal.organizationID
    let status = request.status.word ?? "pending"
    return try await call.commit(
      holding: requireChange(in: projectID, call),
      IssuesQueries.checkIssueOwners(
        experimentID: experimentID, sourceRunID: runID, organizationID: organizationID,
        projectID: projectID),
      IssuesQueries.createIssue(
        organizationID: organizationID, id: place.id, projectID: projectID,
        experimentID: experimentID, name: request.name, description: request.description,
        status: status, severity: request.severity.word, rootCauses: request.rootCauses,
        categories: request.categories, sourceRunID: runID, author: request.author, nowMs: now),
      locking: issues([place.id], in: projectID, call)
    ) { (rows, _) throws(CallError) in
      guard let row = rows.first else { throw .internal("a new issue is missing") }
      var response = CreateIssueResponse()
      response.issue = Issue(row)
      return (
        response,
        place.change(
          "create", "created",
          JSONText.object([
            ("name", request.name), ("experiment_id", experimentID.description),
            ("status", status), ("severity", request.severity.word ?? ""),
          ]))
      )
    }
  }

  /// Returns an issue.
  public func getIssue(
    _ request: GetIssueRequest, _ call: CallContext
  ) async throws(CallError) -> GetIssueResponse {
    var validator = Validator()
    let place = IssuePlace(request.projectID, request.issueID, &validator)
    try validator.finish()
    try await requireLook(at: place.projectID, call)
    let rows = try await call.read(issues([place.id], in: place.projectID, call))
    guard let row = rows.first else { throw place.notFound }
    var response = GetIssueResponse()
    response.issue = Issue(row)
    return response
  }

  /// Changes the fields of an issue that are present.
  public func updateIssue(
    _ request: UpdateIssueRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateIssueResponse {
    var validator = Validator()
    let place = IssuePlace(request.projectID, request.issueID, &validator)
    validator.check(request)
    try validator.finish()

    let organizationID = call.principal.organizationID
    return try await call.commit(
      holding: requireChange(in: place.projectID, call),
      IssuesQueries.holdIssue(
        organizationID: organizationID, projectID: place.projectID, id: place.id),
      locking: issues([place.id], in: place.projectID, call)
    ) { (rows, batch) throws(CallError) in
      guard let row = rows.first else { throw place.notFound }
      let before = Issue(row)
      var issue = before
      issue.name = request.name ?? before.name
      issue.description = request.description ?? before.description
      issue.status = request.status ?? before.status
      issue.severity = request.severity ?? before.severity
      issue.updateTimeMs = now
      batch.add(
        IssuesQueries.updateIssue(
          name: issue.name, description: issue.description, status: issue.status.word ?? "pending",
          severity: issue.severity.word, nowMs: issue.updateTimeMs,
          organizationID: organizationID, id: place.id))
      var response = UpdateIssueResponse()
      response.issue = issue
      return (
        response, place.change("update", "updated", JSONText.change(changes(before, issue)))
      )
    }
  }

  /// Issues by their ids, as many as an answer has room for.
  func issues(
    _ ids: [UUID], in projectID: UUID, withTraceCounts: Bool = false, _ call: CallContext
  ) -> Query<[IssuesQueries.GetIssuesRow]> {
    IssuesQueries.getIssues(
      withTraceCounts: withTraceCounts, ids: ids, organizationID: call.principal.organizationID,
      projectID: projectID, bytesMax: TraceBounds.pageBytesMax)
  }

  private func changes(
    _ before: Issue, _ after: Issue
  ) -> [(name: String, before: String?, after: String?)] {
    let beginning = { (text: String) in
      String(text.unicodeScalars.prefix(200).map(Character.init))
    }
    return [
      ("name", before.name, after.name),
      ("description", beginning(before.description), beginning(after.description)),
      ("status", before.status.word, after.status.word),
      ("severity", before.severity.word, after.severity.word),
    ]
  }
}

/// What requests name as `issue_id`.
private enum IssueResource: ProjectResource {
  static let name = "issue"
  static let notFound = TracingErrorReason.issueNotFound
}

/// Which issue a request is about.
private typealias IssuePlace = Place<IssueResource>

extension Issue {
  /// An issue as a statement returned it.
  init(_ row: IssuesQueries.GetIssuesRow) {
    self.init()
    id = row.id.description
    projectID = row.projectID.description
    experimentID = row.experimentID.description
    name = row.name
    description = row.description
    status = IssueStatus(word: row.status)
    severity = IssueSeverity(word: row.severity)
    rootCauses = row.rootCauses
    categories = row.categories
    sourceRunID = row.sourceRunID?.description
    author = row.author
    createTimeMs = row.createTimeMs
    updateTimeMs = row.updateTimeMs
    traceCount = row.traceCount
  }
}
