internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension TrackingService {
  /// Writes parameters of a run.
  public func logParameters(
    _ request: LogParametersRequest, _ call: CallContext
  ) async throws(CallError) -> LogParametersResponse {
    var validator = Validator()
    let id = validator.id("run_id", request.runID)
    let parameters = validator.parameters(request.parameters)
    if parameters.isEmpty { validator.refuse("parameters", "must hold at least one") }
    try validator.finish()

    let wanted = RunDescription(
      parameters: parameters, overwrites: request.overwrite, anyStatus: request.anyStatus)
    return try await describe(id, wanted, call) { (row, batch) throws(CallError) in
      let change = try wanted.parameterChange(row, id)
      write(parameters: change, of: id, &batch, call)
      return (
        LogParametersResponse(),
        wanted.change("log_parameters", "parameters_logged", id, row, parameters: change)
      )
    }
  }

  /// Adds the statements that write parameters, and keep what they overwrite.
  func write(
    parameters change: DescriptionChange, of id: UUID, _ batch: inout Batch, _ call: CallContext
  ) {
    let organizationID = call.principal.organizationID
    if !change.replaced.isEmpty {
      batch.add(
        ParametersQueries.keepParameterVersions(
          replacedAt: WallClock.microseconds(), userID: call.principal.id,
          ids: change.replaced.keys.map { _ in call.nextID() }, keys: change.replaced.keys,
          organizationID: organizationID, runID: id))
    }
    for parameters in [change.added, change.replaced] where !parameters.isEmpty {
      batch.add(
        ParametersQueries.writeRunParameters(
          organizationID: organizationID, runID: id, keys: parameters.keys,
          parameterValues: parameters.values))
    }
  }

  /// Lists the parameters of a run, by key.
  public func listRunParameters(
    _ request: ListRunParametersRequest, _ call: CallContext
  ) async throws(CallError) -> ListRunParametersResponse {
    var validator = Validator()
    let id = validator.id("run_id", request.runID)
    let size = validator.pageSize(
      request.pageSize, standard: DescriptionBounds.pageSize, max: DescriptionBounds.pageSizeMax)
    try validator.finish()
    let page = KeyPage(purpose: "parameters \(id)", size: size)
    let after = try page.start(request.pageToken)
    _ = try await run(id, includesDeleted: request.includeDeleted, call)
    let rows = try await call.read(
      ParametersQueries.listRunParameters(
        organizationID: call.principal.organizationID, runID: id, afterKey: after,
        pageSize: page.rowsToRead, bytesMax: Int64(DescriptionBounds.pageBytesMax)))
    var response = ListRunParametersResponse()
    response.parameters = rows.prefix(size).map { Parameter(key: $0.key, value: $0.value) }
    response.nextPageToken = page.next(rows.map { ($0.key, $0.value) })
    return response
  }

  /// Lists the values that a parameter had before it was overwritten, newest first.
  public func listParameterHistory(
    _ request: ListParameterHistoryRequest, _ call: CallContext
  ) async throws(CallError) -> ListParameterHistoryResponse {
    var validator = Validator()
    let id = validator.id("run_id", request.runID)
    validator.name("key", request.key, characters: DescriptionBounds.keyCharacters)
    let size = validator.pageSize(
      request.pageSize, standard: DescriptionBounds.historyPageSize,
      max: DescriptionBounds.historyPageSizeMax)
    try validator.finish()
    let page = Page(purpose: "parameter history \(id) \(request.key)", size: size)
    let before = try page.start(request.pageToken)
    _ = try await run(id, includesDeleted: request.includeDeleted, call)
    let rows = try await call.read(
      ParametersQueries.listParameterVersions(
        organizationID: call.principal.organizationID, runID: id, key: request.key,
        beforeID: before, pageSize: page.rowsToRead))
    var response = ListParameterHistoryResponse()
    response.versions = rows.prefix(size).map { row in
      var version = ParameterVersion()
      version.value = row.value
      version.replacedAt = Timestamp(microseconds: row.replacedAt)
      version.replacedBy = row.replacedBy.description
      return version
    }
    response.nextPageToken = page.next(rows.map(\.id))
    return response
  }
}

/// What a call writes of a run's tags and parameters.
struct RunDescription {
  var tags = Description()
  var deleteTags: [String] = []
  var parameters = Description()
  var overwrites = false
  /// Whether parameters are written of a run that has ended, too.
  var anyStatus = false

  /// What becomes of the tags.
  func tagChange(
    _ row: TagsQueries.GetRunToDescribeRow
  ) throws(CallError) -> DescriptionChange {
    let change = DescriptionChange(
      set: tags, delete: deleteTags,
      before: Description(keys: row.tagKeys, values: row.tagValues))
    try checkTagCount(Int(row.tagCount) + change.growth, change)
    return change
  }

  /// What becomes of the parameters, unless the run has ended.
  func parameterChange(
    _ row: TagsQueries.GetRunToDescribeRow, _ id: UUID
  ) throws(CallError) -> DescriptionChange {
    let change = DescriptionChange(
      set: parameters,
      before: Description(keys: row.parameterKeys, values: row.parameterValues))
    guard anyStatus || !RunLifecycle.Status(text: row.status).isFinal else {
      throw runFinished(id)
    }
    if let key = change.replaced.keys.first, !overwrites {
      throw CallError(
        TrackingErrorReason.parameterDiffers,
        "The parameter \(key) of run \(id) has another value, and stays as it is; to replace it, "
          + "call LogParameters with overwrite.",
        details: ["key": key])
    }
    let count = Int(row.parameterCount) + change.growth
    guard count <= DescriptionBounds.parametersMax || change.growth == 0 else {
      throw CallError(
        TrackingErrorReason.parameterLimitReached,
        "The run would have \(count) parameters, and \(DescriptionBounds.parametersMax) is the "
          + "most; put several into one value.")
    }
    return change
  }

  /// What the audit log and watchers hear.
  func change(
    _ verb: String, _ event: String, _ id: UUID, _ row: TagsQueries.GetRunToDescribeRow,
    tags: DescriptionChange? = nil, parameters: DescriptionChange? = nil,
    more: [(String, String)] = []
  ) -> Change {
    let parts = [tags?.audited("tags"), parameters?.audited("parameters")].compactMap { $0 }
    return Change(
      action: "run.\(verb)", event: "run.\(event)", resourceType: "run", resourceID: id,
      projectID: row.projectID,
      detailsJSON: JSONText.beforeAndAfter(
        parts.flatMap(\.before), parts.flatMap(\.after) + more))
  }
}
