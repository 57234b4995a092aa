internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension TrackingService {
  /// Finds runs by a filter, in any order, with what is asked for of their parameters, tags and
  /// metrics.
  public func searchRuns(
    _ request: SearchRunsRequest, _ call: CallContext
  ) async throws(CallError) -> SearchRunsResponse {
    var validator = Validator()
    let bounds = RunBoundary(
      request.projectID, request.experimentIDs, includesArchived: request.includeArchived,
      &validator)
    let size = validator.pageSize(
      request.pageSize, standard: RunBounds.pageSize, max: RunBounds.pageSizeMax)
    let parameters = IncludedKeys("parameters", request.parameters, &validator)
    let tags = IncludedKeys("tags", request.tags, &validator)
    let metrics = IncludedKeys("metrics", request.metrics, &validator)
    try validator.finish()
    let search = try call.search(
      RunSearch.schema, filter: request.filter, orderBy: request.orderBy,
      isNarrow: bounds.isNarrow || !call.seesAllProjects, searchReasons,
      restriction: RunSearch.restriction(call, bounds))
    let purpose =
      (["run search", bounds.purpose, request.filter] + request.orderBy).joined(separator: "\u{1f}")
    let page = try await call.page(
      search, "tracking.searchRuns", size: size, token: request.pageToken, purpose: purpose,
      searchReasons, id: \.id
    ) { row throws(PostgresError) in try RunSearch.read(row) }

    let now = WallClock.microseconds()
    var found = FoundRuns(page.values, now: now)
    try await found.add(parameters, call)
    try await found.addTags(tags, call)
    try await found.addMetrics(metrics, call)
    guard found.count > 0 || page.values.isEmpty else {
      throw CallError(
        TrackingErrorReason.searchTooLarge,
        "One run alone has more than \(RunSearchBounds.includedBytesMax) bytes of what was asked "
          + "for; ask for it by keys.")
    }
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
      &validator)
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

  /// Whether few of an organization's runs may be there.
  var isNarrow: Bool { projectID != nil || !experimentIDs.isEmpty }

  init(projectID: UUID?, experimentIDs: [UUID], includesArchived: Bool) {
    self.projectID = projectID
    self.experimentIDs = experimentIDs
    self.includesArchived = includesArchived
  }

  init(
    _ projectID: String, _ experimentIDs: [String], includesArchived: Bool,
    _ validator: inout Validator
  ) {
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
    (["\(includesArchived)", projectID?.description ?? ""] + experimentIDs.map(\.description))
      .joined(separator: " ")
  }
}

/// What of one kind comes along.
private struct IncludedKeys {
  let takesAll: Bool
  let keys: [String]

  init(_ field: String, _ include: SearchInclude?, _ validator: inout Validator) {
    takesAll = include?.all ?? false
    keys = include?.keys ?? []
    if takesAll, !keys.isEmpty {
      validator.refuse("\(field).keys", "must be empty where all come along")
    }
    if keys.count > RunSearchBounds.includedKeysMax {
      validator.refuse(
        "\(field).keys",
        "must be at most \(RunSearchBounds.includedKeysMax), are \(keys.count)")
    }
    for (index, key) in keys.prefix(RunSearchBounds.includedKeysMax).enumerated() {
      validator.name("\(field).keys[\(index)]", key, bytes: MetricBounds.keyBytes)
    }
  }

  var isEmpty: Bool { !takesAll && keys.isEmpty }
}

/// The runs of a page with what comes along; as many as an answer has room for.
private struct FoundRuns {
  private var runs: [FoundRun] = []
  private let ids: [UUID]
  private let places: [UUID: Int]
  /// How many are complete.
  private(set) var count: Int

  init(_ records: [RunRecord], now: Int64) {
    for record in records {
      var found = FoundRun()
      found.run = Run(record, now: now)
      runs.append(found)
    }
    ids = records.map(\.id)
    places = Dictionary(ids.enumerated().map { ($1, $0) }) { first, _ in first }
    count = records.count
  }

  /// Those that are complete.
  var complete: [FoundRun] { Array(runs.prefix(count)) }

  /// The place of a run; nil for one that there is no room for.
  private mutating func place(_ id: UUID, _ bytes: Int64) -> Int? {
    guard let place = places[id] else { return nil }
    if bytes > RunSearchBounds.includedBytesMax { count = min(count, place) }
    return place < count ? place : nil
  }

  mutating func add(_ keys: IncludedKeys, _ call: CallContext) async throws(CallError) {
    guard !keys.isEmpty, !ids.isEmpty else { return }
    let rows = try await call.read(
      SearchQueries.listFoundParameters(
        runIDs: ids, organizationID: call.principal.organizationID, takesAll: keys.takesAll,
        keys: keys.keys, bytesMax: RunSearchBounds.includedBytesMax))
    for row in rows {
      guard let place = place(row.runID, row.bytes) else { continue }
      var parameter = Parameter()
      parameter.key = row.key
      parameter.value = row.value
      runs[place].parameters.append(parameter)
    }
  }

  mutating func addTags(_ keys: IncludedKeys, _ call: CallContext) async throws(CallError) {
    guard !keys.isEmpty, !ids.isEmpty else { return }
    let rows = try await call.read(
      SearchQueries.listFoundTags(
        runIDs: ids, organizationID: call.principal.organizationID, takesAll: keys.takesAll,
        keys: keys.keys, bytesMax: RunSearchBounds.includedBytesMax))
    for row in rows {
      guard let place = place(row.runID, row.bytes) else { continue }
      var tag = Tag()
      tag.key = row.key
      tag.value = row.value
      runs[place].tags.append(tag)
    }
  }

  mutating func addMetrics(_ keys: IncludedKeys, _ call: CallContext) async throws(CallError) {
    guard !keys.isEmpty, !ids.isEmpty else { return }
    let rows = try await call.read(
      SearchQueries.listFoundMetrics(
        runIDs: ids, organizationID: call.principal.organizationID, takesAll: keys.takesAll,
        keys: keys.keys, bytesMax: RunSearchBounds.includedBytesMax))
    for row in rows {
      guard let place = place(row.runID, row.bytes) else { continue }
      var summary = MetricSummary()
      summary.key = row.key
      summary.count = row.pointCount
      summary.firstStep = row.firstStep
      summary.lastStep = row.lastStep
      summary.lastTimeUs = row.lastTimeUs
      summary.lastValue = row.lastValue
      summary.minValue = row.minValue
      summary.maxValue = row.maxValue
      runs[place].metrics.append(summary)
    }
  }
}
