public import Messages
internal import Postgres
public import RPC

extension TrackingService {
  /// Sets and removes tags of a logged model.
  public func setLoggedModelTags(
    _ request: SetLoggedModelTagsRequest, _ call: CallContext
  ) async throws(CallError) -> SetLoggedModelTagsResponse {
    var validator = Validator()
    let id = validator.id("logged_model_id", request.loggedModelID)
    let tags = validator.loggedModelTags(request.tags)
    validator.deleteKeys(request.deleteKeys, besides: tags)
    try validator.finish()

    return try await describe(
      loggedModel: id, tagKeys: tags.keys + request.deleteKeys, call
    ) { (row, batch) throws(CallError) in
      let before = Description(keys: row.tagKeys, values: row.tagValues)
      let change = DescriptionChange(set: tags, delete: request.deleteKeys, before: before)
      try checkTagRoom(
        LoggedModelRoom(
          change, writing: tags, before: before, count: row.tagCount, bytes: row.tagBytes))
      write(change, ofModel: id, &batch, call)
      return (
        SetLoggedModelTagsResponse(),
        audited("set_tags", "tagged", id, row.projectID, change.audited("tags"))
      )
    }
  }

  /// Writes parameters of a logged model, which never change.
  public func logLoggedModelParameters(
    _ request: LogLoggedModelParametersRequest, _ call: CallContext
  ) async throws(CallError) -> LogLoggedModelParametersResponse {
    var validator = Validator()
    let id = validator.id("logged_model_id", request.loggedModelID)
    let parameters = validator.loggedModelParameters(request.parameters)
    if parameters.isEmpty { validator.refuse("parameters", "must hold at least one") }
    try validator.finish()

    return try await describe(
      loggedModel: id, parameterKeys: parameters.keys, call
    ) { (row, batch) throws(CallError) in
      let before = Description(keys: row.parameterKeys, values: row.parameterValues)
      let change = DescriptionChange(set: parameters, before: before)
      if let key = change.replaced.keys.first {
        throw CallError(
          TrackingErrorReason.parameterDiffers,
          "The parameter \(key) of logged model \(id) has another value, and stays as it is.",
          details: ["key": key])
      }
      try checkParameterRoom(
        LoggedModelRoom(
          change, writing: parameters, before: before, count: row.parameterCount,
          bytes: row.parameterBytes))
      write(parameters: change, ofModel: id, &batch, call)
      return (
        LogLoggedModelParametersResponse(),
        audited(
          "log_parameters", "parameters_logged", id, row.projectID, change.audited("parameters"))
      )
    }
  }

  /// Commits a change of a logged model's tags or parameters, which nobody else changes meanwhile.
  private func describe<Response: Message>(
    loggedModel id: UUID, tagKeys: [String] = [], parameterKeys: [String] = [],
    _ call: CallContext,
    _ decide:
      (LoggedModelsQueries.GetLoggedModelToDescribeRow, inout Batch) throws(CallError) ->
      (Response, Change)
  ) async throws(CallError) -> Response {
    try await call.commit(
      holding: hold(loggedModel: id, call),
      locking: LoggedModelsQueries.getLoggedModelToDescribe(
        userID: call.principal.id, tagKeys: tagKeys, parameterKeys: parameterKeys,
        organizationID: call.principal.organizationID, id: id)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw loggedModelNotFound(id) }
      try call.require(row.role, unseen: loggedModelNotFound(id))
      return try decide(row, &batch)
    }
  }

  private func audited(
    _ verb: String, _ event: String, _ id: UUID, _ projectID: UUID,
    _ sides: (before: [(String, String)], after: [(String, String)])
  ) -> Change {
    Change(
      action: "logged_model.\(verb)", event: "logged_model.\(event)",
      resourceType: "logged_model", resourceID: id, projectID: projectID,
      detailsJSON: JSONText.beforeAndAfter(sides.before, sides.after))
  }

  /// Adds the statements that write tags of a logged model.
  func write(
    _ change: DescriptionChange, ofModel id: UUID, _ batch: inout Batch, _ call: CallContext
  ) {
    let organizationID = call.principal.organizationID
    for tags in [change.added, change.replaced] where !tags.isEmpty {
      batch.add(
        LoggedModelsQueries.writeLoggedModelTags(
          organizationID: organizationID, loggedModelID: id, keys: tags.keys,
          tagValues: tags.values))
    }
    if !change.removed.isEmpty {
      batch.add(
        LoggedModelsQueries.deleteLoggedModelTags(
          organizationID: organizationID, loggedModelID: id, keys: change.removed))
    }
  }

  /// Adds the statement that writes new parameters of a logged model.
  func write(
    parameters change: DescriptionChange, ofModel id: UUID, _ batch: inout Batch,
    _ call: CallContext
  ) {
    guard !change.added.isEmpty else { return }
    batch.add(
      LoggedModelsQueries.writeLoggedModelParameters(
        organizationID: call.principal.organizationID, loggedModelID: id, keys: change.added.keys,
        parameterValues: change.added.values))
  }

  /// Refuses more or longer tags than a logged model can have.
  func checkTagRoom(_ room: LoggedModelRoom) throws(CallError) {
    try room.check("tags", max: Int64(DescriptionBounds.tagsMax), .tagLimitReached)
  }

  /// Refuses more or longer parameters than a logged model can have.
  func checkParameterRoom(_ room: LoggedModelRoom) throws(CallError) {
    try room.check(
      "parameters", max: LoggedModelBounds.parametersMax, .parameterLimitReached)
  }
}
