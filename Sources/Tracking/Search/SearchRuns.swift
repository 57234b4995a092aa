internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension TrackingService {
  /// Finds runs by a filter, in any order, with what is asked for of their parameters, tags,
  /// metrics, datasets and models.
  public func searchRuns(
    _ request: SearchRunsRequest, _ call: CallContext
  ) async throws(CallError) -> SearchRunsResponse {
    var validator = Validator()
    let bounds = RunBoundary(
      request.projectID, request.experimentIDs, includesArchived: request.includeArchived,
      request.view, &validator)
    let size = validator.pageSize(
      request.pageSize, standard: RunBounds.pageSize, max: RunBounds.pageSizeMax)
    let included = IncludedKinds(request, &validator)
    try validator.finish()
    let search = try call.search(
      RunSearch.schema, filter: request.filter, orderBy: request.orderBy,
      isNarrow: bounds.isNarrow || bounds.view == .deleted || !call.seesAllProjects, searchReasons,
      restriction: RunSearch.restriction(call, bounds))
    let purpose =
      (["run search", bounds.purpose, request.filter] + request.orderBy).joined(separator: "\u{1f}")
    let page = try await call.page(
      search, "tracking.searchRuns", size: size, token: request.pageToken, purpose: purpose,
      searchReasons, id: \.id
    ) { row throws(PostgresError) in try RunSearch.read(row) }

    let now = WallClock.microseconds()
    var found = FoundRuns(page.values, now: now)
    try await found.complete(included, call)
    var response = SearchRunsResponse()
    response.runs = found.complete
    response.nextPageToken = page.next(after: found.count)
    return response
  }

  /// Counts the runs that a filter finds.
  public func countRuns(
    _ request: CountRunsRequest, _ call: CallContext
  ) async throws(CallError) -> CountRunsResponse {
    var validator = Validator()
    let bounds = RunBoundary(
      request.projectID, request.experimentIDs, includesArchived: request.includeArchived,
      request.view, &validator)
    try validator.finish()
    let search = try call.search(
      RunSearch.schema, filter: request.filter, orderBy: [], searchReasons,
      restriction: RunSearch.restriction(call, bounds))
    var response = CountRunsResponse()
    response.count = try await call.count(search, "tracking.countRuns", searchReasons)
    return response
  }
}

/// Where runs are searched.
struct RunBoundary {
  let projectID: UUID?
  let experimentIDs: [UUID]
  let includesArchived: Bool
  let view: SearchView

  /// Whether few of an organization's runs may be there.
  var isNarrow: Bool { projectID != nil || !experimentIDs.isEmpty }

  init(projectID: UUID?, experimentIDs: [UUID], includesArchived: Bool, view: SearchView) {
    self.view = view
    self.projectID = projectID
    self.experimentIDs = experimentIDs
    self.includesArchived = includesArchived
  }

  init(
    _ projectID: String, _ experimentIDs: [String], includesArchived: Bool, _ view: LifeView,
    _ validator: inout Validator
  ) {
    self.view = SearchView(view, &validator)
    self.includesArchived = includesArchived
    self.projectID = validator.optionalID("project_id", projectID)
    let most = RunSearchBounds.experimentIDsMax
    guard experimentIDs.count <= most else {
      validator.refuse("experiment_ids", "must be at most \(most), are \(experimentIDs.count)")
      self.experimentIDs = []
      return
    }
    var ids: [UUID] = []
    for (index, text) in experimentIDs.enumerated() {
      ids.append(validator.id("experiment_ids[\(index)]", text))
    }
    self.experimentIDs = ids
  }

  var purpose: String {
    (["\(includesArchived) \(view.rawValue)", projectID?.description ?? ""]
      + experimentIDs.map(\.description))
      .joined(separator: " ")
  }
}
